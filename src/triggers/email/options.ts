import { aCount, aList, anything, aText, checkOptions, type Check } from '../../options.ts'
import { TidingsError } from '../../errors.ts'
import { configuredPort, isLoopback, urlHost } from '../../http/listen.ts'
import type { Relay } from './authentication-results.ts'
import type { SmtpAuth } from './auth.ts'
import type { SmtpTls } from './tls.ts'

const checks = {
  port: anything,
  host: aText,
  recipients: aList,
  tls: anything,
  auth: anything,
  relays: aList,
  maxBytes: aCount,
  maxBytesAtOnce: aCount,
  maxConnections: aCount,
} satisfies Record<keyof SmtpOptions, Check>

/** @throws E_APP_INVALID for unknown options and wrong types */
export const checkSmtpOptions = (options: SmtpOptions) => checkOptions('smtp()', options, checks, [])

/** Where the SMTP server listens, from whom it accepts mail, and how much. */
export interface SmtpOptions {
  /** 0 uses any free port. Default `TIDINGS_SMTP_PORT`, else 2525. */
  port?: number
  /** Address to listen on. Default 127.0.0.1; any other address accepts mail from the network and needs `recipients` or `auth`. */
  host?: string
  /** Accepted recipients: addresses, or `*@domain`. Default all. */
  recipients?: readonly string[]
  /** Default no encryption. */
  tls?: SmtpTls
  /** Who may log in. Then a login is required, unless it is `optional`. Logins need TLS or loopback. */
  auth?: SmtpAuth
  /** Mail servers in front whose Authentication-Results are trusted. Default none. */
  relays?: readonly Relay[]
  /** Largest mail, in bytes. Default 10 MiB. */
  maxBytes?: number
  /** Bytes of mails in memory at once, over all connections. Default 8 times `maxBytes`. */
  maxBytesAtOnce?: number
  /** Default 32. */
  maxConnections?: number
}

/** @throws E_SETTING_INVALID */
export function smtpSettings(options: SmtpOptions) {
  const { maxBytes = 10 * 1024 * 1024, maxConnections = 32 } = options
  const { maxBytesAtOnce = 8 * maxBytes } = options
  const { host, port } = listenAddress(options)
  if (maxBytesAtOnce < maxBytes) throw invalid(`maxBytesAtOnce ${maxBytesAtOnce} is smaller than maxBytes ${maxBytes}`)
  if (!isLoopback(host)) {
    if (!options.recipients && !(options.auth && !options.auth.optional))
      throw invalid(`on ${host} it would accept any mail from anyone; set recipients or auth`)
    if (options.auth && !options.tls)
      throw invalid(`on ${host} a login needs TLS; set tls with a key and a certificate`)
  }
  return { host, port, maxBytes, maxBytesAtOnce, maxConnections }
}

/** @throws E_SETTING_INVALID */
export const listenAddress = ({ host = '127.0.0.1', port }: SmtpOptions) => ({
  host,
  port: port ?? configuredPort('TIDINGS_SMTP_PORT', 2525),
})

export const smtpUrl = (host: string, port: number, tls: SmtpTls | undefined) =>
  `${tls?.mode === 'implicit' ? 'smtps' : 'smtp'}://${urlHost(host)}:${port}`

const invalid = (why: string) => new TidingsError('E_SETTING_INVALID', `smtp(): ${why}`)
