import type { NodeConnectionOptions, ServerInfo } from '@nats-io/transport-node'
import { textOf, TidingsError } from '../../errors.ts'
import { type Address, shownAddress } from './address.ts'
import { deniedBy, isDenial, LogConnection } from './connection.ts'

const minimum = [2, 12]

/** Connects, within the time. @throws E_LOG_UNAVAILABLE, E_BUS_DENIED, E_BUS_VERSION */
export async function openConnection(address: Address, timeoutMs: number): Promise<LogConnection> {
  const { connect, createInbox, credsAuthenticator, nkeyAuthenticator } = await import('@nats-io/transport-node')
  const { servers, user, pass, token, creds, nkey, tls } = address
  const options: NodeConnectionOptions = {
    servers: [...servers],
    name: 'tidings',
    maxReconnectAttempts: -1,
    reconnectTimeWait: 250,
    reconnectJitter: 250,
    // A half-open connection is found out within two of these.
    pingInterval: 5_000,
    maxPingOut: 2,
    timeout: Math.min(timeoutMs, 5_000),
    noAsyncTraces: true,
    // A credential that is refused while a server restarts with other settings may be accepted later.
    ignoreAuthErrorAbort: true,
    ...(user !== undefined && { user }),
    ...(pass !== undefined && { pass }),
    ...(token !== undefined && { token }),
    ...(creds && { authenticator: credsAuthenticator(creds) }),
    ...(nkey && { authenticator: nkeyAuthenticator(nkey) }),
    ...(tls && { tls }),
  }
  const until = performance.now() + timeoutMs
  for (;;) {
    try {
      const nc = await connect(options)
      const unfit = unsupportedReason(nc.info!)
      if (unfit === undefined) return new LogConnection(address, nc, () => createInbox())
      await nc.close()
      throw new TidingsError('E_BUS_VERSION', `${shownAddress(address)} ${unfit}`)
    } catch (error) {
      if (error instanceof TidingsError) throw error
      if (isDenial(error)) throw deniedBy(address, error)
      if (performance.now() + 250 > until)
        throw new TidingsError('E_LOG_UNAVAILABLE', `${shownAddress(address)}: ${textOf(error)}`, {
          cause: error,
          retryable: true,
        })
      await new Promise(resolve => setTimeout(resolve, 250))
    }
  }
}

function unsupportedReason({ version, jetstream }: ServerInfo): string | undefined {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major < minimum[0]! || (major === minimum[0]! && minor < minimum[1]!))
    return `is nats-server ${version}; ${minimum.join('.')} is needed`
  return jetstream ? undefined : 'runs without JetStream: start it with -js'
}
