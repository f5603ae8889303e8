import { parseSecurity, securityOptions, type KafkaSecurity } from '../../kafka/security.ts'
import { invalidKafkaUrl, parseKafkaUrl, shownBrokers, type KafkaHost } from '../../kafka/url.ts'

/** How to reach a cluster and which log on it is meant. */
export interface KafkaAddress extends KafkaSecurity {
  readonly brokers: readonly KafkaHost[]
  /** Name of the log: its topics, groups and transactional ids begin with this. */
  readonly log: string
  /** Number of partitions of a new log. An existing log must have as many. */
  readonly partitions?: number
  /** Copies of each record of a new log. Default: as the broker decides. */
  readonly replicas?: number
  /** Longest wait of a call for the broker, in ms. */
  readonly timeoutMs?: number
  /** A member of a group that is not heard of for this long is gone, in ms. */
  readonly leaseMs?: number
}

const logName = /^[A-Za-z0-9_.-]{1,48}$/
const known = new Set(['partitions', 'replicas', 'timeout', 'lease', ...securityOptions])

/**
 * Reads `kafka://USER:PASSWORD@HOST:PORT,HOST:PORT/LOG?partitions=8&…` (`kafkas://` for TLS).
 * `token`: how the app gets a token for OAUTHBEARER.
 * @throws E_SETTING_INVALID, naming what is wrong but never the secret.
 */
export function parseKafkaAddress(text: string, token?: () => string | Promise<string>): KafkaAddress {
  const { isTls, login, brokers, path, options } = parseKafkaUrl(text)
  const log = path || 'tidings'
  if (!logName.test(log))
    throw invalidKafkaUrl(`the log name "${log}" is not of letters, digits, ".", "-" and "_", at most 48`)
  for (const name of options.keys()) if (!known.has(name)) throw invalidKafkaUrl(`there is no option "${name}"`)
  return {
    brokers,
    log,
    ...parseSecurity(login, options, isTls, token),
    ...positiveInteger(options, 'partitions', 'partitions'),
    ...positiveInteger(options, 'replicas', 'replicas'),
    ...positiveInteger(options, 'timeout', 'timeoutMs'),
    ...positiveInteger(options, 'lease', 'leaseMs'),
  }
}

/** The address for people: without what is secret. */
export const shownKafkaAddress = ({ brokers, log, tls }: KafkaAddress) =>
  `${shownBrokers(tls !== undefined, brokers)}/${log}`

function positiveInteger<K extends string>(options: URLSearchParams, name: string, as: K): Partial<Record<K, number>> {
  const text = options.get(name)
  if (text === null) return {}
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) throw invalidKafkaUrl(`${name}=${text} is not a positive whole number`)
  return { [as]: value } as Record<K, number>
}
