import type { ConnectionOptions } from '@platformatic/kafka'
import { TidingsError } from '../errors.ts'
import { readSecret } from './read-secret.ts'
import { tokenFrom } from './token-source.ts'

/** Who the process is for the brokers. Secrets are functions, so that they are read again for each connection and printed by none. */
export type KafkaLogin =
  | { readonly mechanism: PasswordMechanism; readonly user: string; readonly password: () => string }
  | { readonly mechanism: 'OAUTHBEARER'; readonly token: () => string | Promise<string> }

type PasswordMechanism = 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'

/** Files in PEM. */
export interface KafkaTls {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

export interface KafkaSecurity {
  readonly login?: KafkaLogin
  readonly tls?: KafkaTls
}

/** The options of an address that are about security. */
export const securityOptions = ['sasl', 'password', 'token', 'tokenurl', 'scope', 'ca', 'cert', 'key']

const mechanisms = ['plain', 'scram-sha-256', 'scram-sha-512', 'oauthbearer']

/**
 * `userInfo`: `USER:PASSWORD` of the address, percent-encoded. `token`: how the app gets a token, in place of `token` and `tokenurl`.
 * @throws E_SETTING_INVALID, naming what is wrong but never the secret.
 */
export function parseSecurity(
  userInfo: string | undefined,
  options: URLSearchParams,
  isTls: boolean,
  token?: () => string | Promise<string>,
): KafkaSecurity {
  const file = (name: string) => {
    const path = options.get(name)
    if (path) readSecret(name, path)
    return path ? { [name]: path } : {}
  }
  const tls: KafkaTls = { ...file('ca'), ...file('cert'), ...file('key') }
  if ((tls.cert === undefined) !== (tls.key === undefined)) throw invalid('cert and key belong together')
  const login = loginFrom(userInfo, options, token)
  return { ...(login && { login }), ...((isTls || tls.ca || tls.cert) && { tls }) }
}

/** What the client needs to connect to one broker. Reads the files again, because they may have been replaced. */
export function connectionOptions({ login, tls }: KafkaSecurity): ConnectionOptions {
  const pem = (name: keyof KafkaTls) => (tls?.[name] ? { [name]: readSecret(name, tls[name]) } : {})
  return {
    ...(tls && { tls: { ...pem('ca'), ...pem('cert'), ...pem('key') } }),
    ...(login && { sasl: saslOf(login) }),
  }
}

function saslOf(login: KafkaLogin): NonNullable<ConnectionOptions['sasl']> {
  if (login.mechanism !== 'OAUTHBEARER')
    return { mechanism: login.mechanism, username: login.user, password: login.password }
  return {
    mechanism: 'OAUTHBEARER',
    token: login.token,
    // A broker refuses a token in an answer that is not an error. The client's own check calls back twice.
    authBytesValidator: (bytes, callback) =>
      bytes.length === 0 ? callback(null, bytes) : callback(new Error(`token refused: ${bytes.toString()}`), bytes),
  }
}

function loginFrom(
  userInfo: string | undefined,
  options: URLSearchParams,
  token: (() => string | Promise<string>) | undefined,
): KafkaLogin | undefined {
  const sasl = options.get('sasl') ?? (token && 'oauthbearer')
  const [user, inline] = userInfo?.split(':').map(decodeURIComponent) ?? []
  const used = securityOptions.slice(1, 5).find(name => options.has(name))
  if (!sasl) {
    if (user || used) throw invalid(`${used ?? 'a user'} needs sasl=, one of ${mechanisms.join(', ')}`)
    return undefined
  }
  if (!mechanisms.includes(sasl)) throw invalid(`sasl=${sasl} is none of ${mechanisms.join(', ')}`)
  const passwordFile = options.get('password')
  if (passwordFile) readSecret('password', passwordFile)
  const password = passwordFile ? () => readSecret('password', passwordFile).trim() : inline && (() => inline)
  if (sasl === 'oauthbearer') return { mechanism: 'OAUTHBEARER', token: token ?? tokenFrom(options, user, password) }
  if (!user || !password) throw invalid(`sasl=${sasl} needs a user, and a password or password=FILE`)
  return { mechanism: sasl.toUpperCase() as PasswordMechanism, user, password }
}

const invalid = (problem: string) => new TidingsError('E_SETTING_INVALID', `the address of Kafka: ${problem}`)
