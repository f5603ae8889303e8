import type * as Kafka from '@platformatic/kafka'
import { TidingsError, textOf } from '../errors.ts'
import { anything, aText, type Check } from '../options.ts'
import { loadPackage } from './load-package.ts'

/** PEM. */
type Pem = string | Buffer

/** Which brokers to use, and how to log in. */
export interface KafkaConnectionOptions {
  /**
   * `kafka://HOST:PORT` or, with TLS, `kafkas://HOST:PORT`; several brokers are separated by commas. May contain `USER:PASSWORD@` and
   * `?sasl=MECHANISM`. Default `TIDINGS_KAFKA_URL`.
   */
  url?: string
  /** How to log in with a name and password. Default: what `url` names in `?sasl=`. */
  sasl?: SaslMechanism
  username?: string
  password?: string
  /** An access token for SASL OAUTHBEARER, asked for at each login. */
  token?: () => string | Promise<string>
  /** For `kafkas://`: the trusted authorities instead of those of Node, and the client certificate. */
  tls?: { ca?: Pem; cert?: Pem; key?: Pem }
}

const saslMechanisms = ['plain', 'scram-sha-256', 'scram-sha-512'] as const
type SaslMechanism = (typeof saslMechanisms)[number]

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
  readonly client: Pick<Kafka.BaseOptions, 'bootstrapBrokers' | 'tls' | 'sasl'>
}

/** @throws E_APP_INVALID, E_SETTING_INVALID */
export function kafkaConnection(options: KafkaConnectionOptions, what: string): KafkaConnectionSettings {
  const url = parseUrl(options.url ?? process.env.TIDINGS_KAFKA_URL ?? 'kafka://127.0.0.1:9092')
  const { secure, brokers } = url
  if (!secure && options.tls)
    throw new TidingsError('E_APP_INVALID', `${what} has tls options, but its URL has no TLS; use kafkas://`)
  const sasl = saslOf({ ...url, ...withoutUndefined(options) }, what)
  return {
    address: `${secure ? 'kafkas' : 'kafka'}://${brokers.join(',')}`,
    client: {
      bootstrapBrokers: brokers,
      ...(secure && { tls: { ...options.tls } }),
      ...(sasl && { sasl }),
    },
  }
}

function saslOf(
  { sasl, username, password, token }: KafkaConnectionOptions,
  what: string,
): Kafka.SASLOptions | undefined {
  if (token)
    return {
      mechanism: 'OAUTHBEARER',
      token,
      // A broker refuses a token in an answer without an error code, and the client's own check would report it twice.
      authBytesValidator: (bytes, callback) =>
        bytes.length === 0 ? callback(null, bytes) : callback(new Error(`token refused: ${String(bytes)}`), bytes),
    }
  if (username === undefined && password === undefined && sasl === undefined) return undefined
  if (username === undefined || password === undefined)
    throw new TidingsError('E_APP_INVALID', `${what} needs both a username and a password, or neither`)
  if (sasl === undefined || !saslMechanisms.includes(sasl))
    throw new TidingsError(
      'E_APP_INVALID',
      `${what} has a username: its option sasl must be ${saslMechanisms.join(', ')}`,
    )
  return { mechanism: sasl.toUpperCase() as Uppercase<SaslMechanism>, username, password }
}

const withoutUndefined = (options: KafkaConnectionOptions): KafkaConnectionOptions =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))

interface ParsedUrl extends Pick<KafkaConnectionOptions, 'sasl' | 'username' | 'password'> {
  readonly secure: boolean
  readonly brokers: string[]
}

/** URL of the standard library knows only one host. */
function parseUrl(text: string): ParsedUrl {
  const match = /^(kafkas?):\/\/(?:([^:@/]*):([^@/]*)@)?([^@/?#]+)\/?(?:\?([^#]*))?$/.exec(text)
  const brokers = (match?.[4] ?? '').split(',').map(broker => (/:\d+$/.test(broker) ? broker : `${broker}:9092`))
  if (!match || !brokers.every(broker => /^(\[[0-9a-fA-F:.]+\]|[\w.-]+):\d{1,5}$/.test(broker)))
    throw new TidingsError(
      'E_SETTING_INVALID',
      'invalid URL of Kafka; expected kafka://HOST:PORT or kafkas://HOST:PORT, with commas between several brokers',
    )
  const [, scheme, username, password, , query] = match
  const sasl = new URLSearchParams(query).get('sasl')
  return {
    secure: scheme === 'kafkas',
    brokers,
    ...(username !== undefined && { username: decodeURIComponent(username) }),
    ...(password !== undefined && { password: decodeURIComponent(password) }),
    ...(sasl !== null && { sasl: sasl as SaslMechanism }),
  }
}

/** The client, an optional package. @throws E_KAFKA_MISSING */
export const loadKafka = (): Promise<typeof Kafka> =>
  loadPackage(() => import('@platformatic/kafka'), '@platformatic/kafka', 'Kafka')

/** Whether retrying cannot help: credentials, rights, certificates. */
export function isRefusal({ findErrorBy }: typeof Kafka, error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if (findErrorBy(error, 'code', 'PLT_KFK_AUTHENTICATION')) return true
  if (refusals.some(apiId => findErrorBy(error, 'apiId', apiId))) return true
  return certificateFault.test(codesOf(error).join(' '))
}

const refusals = [
  'TOPIC_AUTHORIZATION_FAILED',
  'GROUP_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
  'SASL_AUTHENTICATION_FAILED',
  'UNSUPPORTED_SASL_MECHANISM',
  'ILLEGAL_SASL_STATE',
  'INVALID_TOPIC_EXCEPTION',
  'INVALID_GROUP_ID',
  'INCONSISTENT_GROUP_PROTOCOL',
]
const certificateFault = /CERT|ERR_SSL|ERR_TLS|EPROTO/

/** The codes of an error and of what caused it. */
function codesOf(error: unknown, depth = 0): string[] {
  if (!(error instanceof Error) || depth > 8) return []
  const { code, cause } = error as NodeJS.ErrnoException
  const others = error instanceof AggregateError ? (error.errors as unknown[]) : []
  return [code ?? '', ...[cause, ...others].flatMap(each => codesOf(each, depth + 1))]
}

/** The innermost text: the client wraps errors in the list of its attempts. */
export function kafkaErrorText(error: unknown): string {
  for (let current = error; ; ) {
    const { cause, errors } = current as { cause?: unknown; errors?: readonly unknown[] }
    const inner: unknown = errors?.at(-1) ?? cause
    if (!(inner instanceof Error)) return textOf(current)
    current = inner
  }
}
