import { createServer } from 'node:http'
import { TidingsError } from '../errors.ts'
import { listen } from '../http/listen.ts'
import { errorResponse, send } from '../http/response.ts'
import { type GatewayOptions, portSetting } from './gateway.ts'
import { assertGuarded } from './identity/guard.ts'
import { assertAllowed } from './identity/origin-policy.ts'
import { unhealthy } from './health.ts'

const waiting = new TidingsError('E_LOG_UNAVAILABLE', 'the app waits for its log', { retryable: true })

/** Where the gateway will listen. */
export interface StandbyOptions extends Pick<GatewayOptions, 'host' | 'policy'> {
  readonly port: number
}

/**
 * Listens in place of the gateway until the log can be opened, and answers `/health` and all other requests with the
 * reason for the wait. With a policy nobody can be identified yet, and it says only that it waits. @throws E_IDENTITY_MISSING, E_PORT_IN_USE
 */
export async function startStandby(
  bus: string,
  { port, host = '127.0.0.1', policy }: StandbyOptions,
  problem: () => TidingsError,
) {
  assertGuarded(host, policy)
  const originPolicy = { ...(policy === undefined && { hosts: new Set([host]) }), origins: () => [] }
  const respondTo = (url: string, host: string | undefined, origin: string | undefined) => {
    try {
      assertAllowed(originPolicy, host, origin)
      const response = errorResponse(policy === undefined ? problem() : waiting)
      if (url.split('?')[0] !== '/health') return response
      const body = policy === undefined ? unhealthy(bus, problem()) : { status: 'unavailable' }
      return { ...response, status: 503, body }
    } catch (error) {
      return errorResponse(error)
    }
  }
  const server = createServer(({ url = '', headers }, outgoing) => {
    const response = respondTo(url, headers.host, headers.origin)
    send(outgoing, { ...response, headers: { ...response.headers, connection: 'close' } })
  })
  const listener = await listen(server, { ...portSetting, port, host })
  return { url: listener.url, stop: () => listener.stop(AbortSignal.abort()) }
}
