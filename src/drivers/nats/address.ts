import { readFileSync } from 'node:fs'
import { TidingsError } from '../../errors.ts'

/** How to reach a server and which log on it is meant. */
export interface Address {
  readonly servers: readonly string[]
  /** Name of the log: everything of it begins with this. */
  readonly log: string
  readonly user?: string
  readonly pass?: string
  readonly token?: string
  readonly creds?: Uint8Array
  readonly nkey?: Uint8Array
  readonly tls?: { readonly caFile?: string; readonly certFile?: string; readonly keyFile?: string }
  /** Copies of each message of a new log. */
  readonly replicas?: number
  /** Number of shards of a new log. */
  readonly shards?: number
  /** Number of partitions of a log. An existing log must have as many. */
  readonly partitions?: number
  /** Longest wait of a call for the broker, in ms. */
  readonly timeoutMs?: number
  /** Where the server answers `/varz`, so that its sync settings can be read. */
  readonly monitor?: string
}

const logName = /^[A-Za-z0-9_-]{1,48}$/
const known = new Set(['creds', 'nkey', 'ca', 'cert', 'key', 'replicas', 'shards', 'partitions', 'timeout', 'monitor'])

/**
 * Reads `nats://USER:PASS@HOST:PORT,HOST:PORT/LOG?creds=FILE&…` (`tls://` for TLS; a user without a password is a token).
 * @throws E_SETTING_INVALID, naming what is wrong but never the secret.
 */
export function parseAddress(text: string): Address {
  const match = /^(nats|tls):\/\/(?:([^@/]*)@)?([^/?]+)(?:\/([^?]*))?(?:\?(.*))?$/.exec(text)
  if (!match) throw invalid('it must look like nats://HOST:PORT/LOG')
  const [, scheme, login, hosts, path, search] = match
  const log = path || 'tidings'
  if (!logName.test(log)) throw invalid(`the log name "${log}" is not of letters, digits, - and _, at most 48`)
  const options = new URLSearchParams(search)
  for (const name of options.keys()) if (!known.has(name)) throw invalid(`there is no option "${name}"`)
  const file = (name: string) => options.get(name) ?? undefined
  const [ca, cert, key] = [file('ca'), file('cert'), file('key')]
  const tls = scheme === 'tls' || ca || cert || key
  return {
    servers: hosts!.split(','),
    log,
    ...credentials(login),
    ...(file('creds') && { creds: secret('creds', file('creds')!) }),
    ...(file('nkey') && { nkey: trimmed(secret('nkey', file('nkey')!)) }),
    ...(tls && { tls: { ...(ca && { caFile: ca }), ...(cert && { certFile: cert }), ...(key && { keyFile: key }) } }),
    ...positiveInteger(options, 'replicas', 'replicas'),
    ...positiveInteger(options, 'shards', 'shards'),
    ...positiveInteger(options, 'partitions', 'partitions'),
    ...positiveInteger(options, 'timeout', 'timeoutMs'),
    ...(file('monitor') && { monitor: file('monitor')! }),
  }
}

/** The address for people: without what is secret. */
export const shownAddress = ({ servers, log }: Address) => `nats://${servers.join(',')}/${log}`

function credentials(login: string | undefined): Pick<Address, 'user' | 'pass' | 'token'> {
  if (!login) return {}
  const [user, pass] = login.split(':').map(decodeURIComponent)
  return pass === undefined ? { token: user! } : { user: user!, pass }
}

function positiveInteger<K extends string>(options: URLSearchParams, name: string, as: K): Partial<Record<K, number>> {
  const text = options.get(name)
  if (text === null) return {}
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) throw invalid(`${name}=${text} is not a positive whole number`)
  return { [as]: value } as Record<K, number>
}

function secret(name: string, path: string): Uint8Array {
  try {
    return readFileSync(path)
  } catch (cause) {
    throw new TidingsError('E_SETTING_INVALID', `TIDINGS_BUS: the file of ${name} cannot be read: ${path}`, { cause })
  }
}

/** A file of one line ends in a newline. */
const trimmed = (bytes: Uint8Array) => Buffer.from(Buffer.from(bytes).toString().trim())

const invalid = (problem: string) => new TidingsError('E_SETTING_INVALID', `TIDINGS_BUS: ${problem}`)
