import type * as Kafka from '@platformatic/kafka'
import { textOf } from '../errors.ts'
import { anything, aText, type Check } from '../options.ts'
import { errorChain } from './error-chain.ts'
import { loadPackage } from './load-package.ts'
import { connectionOptions, parseSecurity, securityOptions } from './security.ts'
import { invalidKafkaUrl, parseKafkaUrl, shownBrokers } from './url.ts'

/** PEM. */
type Pem = string | Buffer

/** Which brokers to use, and how to log in. */
export interface KafkaConnectionOptions {
  /**
   * `kafka://HOST:PORT` or, with TLS, `kafkas://HOST:PORT`; several brokers are separated by commas. May contain `USER:PASSWORD@` and
   * the options of an address about security, such as `?sasl=MECHANISM`. Default `TIDINGS_KAFKA_URL`.
   */
  url?: string
  /** How to log in with a name and password. Default: what `url` names in `?sasl=`. */
  sasl?: 'plain' | 'scram-sha-256' | 'scram-sha-512'
  username?: string
  password?: string
  /** An access token for SASL OAUTHBEARER, asked for at each login. */
  token?: () => string | Promise<string>
  /** For `kafkas://`: the trusted authorities instead of those of Node, and the client certificate. */
  tls?: { ca?: Pem; cert?: Pem; key?: Pem }
}

export const connectionChecks = {
  url: aText,
  sasl: anything,
  username: aText,
  password: aText,
  token: anything,
  tls: anything,
} satisfies Record<keyof KafkaConnectionOptions, Check>

export interface KafkaConnectionSettings {
  /** The brokers, without credentials. */
  readonly address: string
  /** What a client is made with. Files that the address names are read again, because they may have been replaced. */
  client(): Pick<Kafka.BaseOptions, 'bootstrapBrokers' | 'tls' | 'sasl'>
}

/** @throws E_SETTING_INVALID */
export function kafkaConnection(given: KafkaConnectionOptions): KafkaConnectionSettings {
  const { username, password, sasl, token, tls } = given
  const { isTls, brokers, path, options, ...url } = parseKafkaUrl(
    given.url ?? process.env.TIDINGS_KAFKA_URL ?? 'kafka://127.0.0.1:9092',
  )
  const unknown = [...options.keys()].find(name => !securityOptions.includes(name))
  if (path || unknown !== undefined)
    throw invalidKafkaUrl(path ? `it has the path "/${path}"` : `there is no option "${unknown}"`)
  if (!isTls && tls) throw invalidKafkaUrl('the option tls needs kafkas://')
  if (sasl !== undefined) options.set('sasl', sasl)
  const login = username === undefined ? url.login : [username, password ?? ''].map(encodeURIComponent).join(':')
  const security = parseSecurity(login, options, isTls, token)
  return {
    address: shownBrokers(isTls, brokers),
    client: () => {
      const connection = connectionOptions(security)
      return {
        bootstrapBrokers: [...brokers],
        ...(connection.sasl && { sasl: connection.sasl }),
        ...((connection.tls ?? tls) && { tls: { ...connection.tls, ...tls } }),
      }
    },
  }
}

/** The client, an optional package. @throws E_KAFKA_MISSING */
export const loadKafka = (): Promise<typeof Kafka> =>
  loadPackage(() => import('@platformatic/kafka'), '@platformatic/kafka', 'Kafka')

/** Whether retrying cannot help: credentials, rights, certificates. */
export const isRefusal = (error: unknown): boolean =>
  errorChain(error).some(
    ({ code, apiId }) =>
      code === 'PLT_KFK_AUTHENTICATION' || refusals.has(apiId) || certificateFault.test(String(code ?? '')),
  )

const refusals = new Set<unknown>([
  'TOPIC_AUTHORIZATION_FAILED',
  'GROUP_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
  'SASL_AUTHENTICATION_FAILED',
  'UNSUPPORTED_SASL_MECHANISM',
  'ILLEGAL_SASL_STATE',
  'INVALID_TOPIC_EXCEPTION',
  'INVALID_GROUP_ID',
  'INCONSISTENT_GROUP_PROTOCOL',
])
const certificateFault = /CERT|ERR_SSL|ERR_TLS|EPROTO/

/** The innermost text: the client wraps errors in the list of its attempts. */
export function kafkaErrorText(error: unknown): string {
  for (let current = error; ; ) {
    const { cause, errors } = current as { cause?: unknown; errors?: readonly unknown[] }
    const inner: unknown = errors?.at(-1) ?? cause
    if (!(inner instanceof Error)) return textOf(current)
    current = inner
  }
}
