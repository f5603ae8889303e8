import { aCount, aList, anything, aText, checkOptions, type Check } from '../../options.ts'
import { TidingsError } from '../../errors.ts'
import { urlHost } from '../../http/listen.ts'
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

/** @throws E_APP_INVALID for options that mean nothing or have the wrong type */
export const checkSmtpOptions = (options: SmtpOptions) => checkOptions('smtp()', options, checks, [])

export interface SmtpOptions {
  /** 0 takes any free port. Default `TIDINGS_SMTP_PORT`, else 2525. */
  port?: number
  /** Address to listen on. Default 127.0.0.1; anything else takes mail from the network, and wants `recipients` or `auth`. */
  host?: string
  /** Who may be written to: addresses, and `*@domain` for all of a domain. Default everybody. */
  recipients?: readonly string[]
  /** Without it there is no encryption. */
  tls?: SmtpTls
  /** Who may log in. With it nobody else may send, unless it is `optional`. Logins go over TLS, or over loopback. */
  auth?: SmtpAuth
  /** Mail servers in front, whose Authentication-Results are believed. Default none. */
  relays?: readonly Relay[]
  /** Largest mail, in bytes. Default 10 MiB. */
  maxBytes?: number
  /** Most bytes of mails that are in memory at once, over all connections. Default 8 of the largest mails. */
  maxBytesAtOnce?: number
  /** Most connections at once. Default 32. */
  maxConnections?: number
}

/** @throws E_SETTING_INVALID, E_USAGE */
export function smtpSettings(options: SmtpOptions) {
  const { maxBytes = 10 * 1024 * 1024, maxConnections = 32 } = options
  const { maxBytesAtOnce = 8 * maxBytes } = options
  const { host, port } = listenAddress(options)
  if (maxBytesAtOnce < maxBytes) throw invalid(`maxBytesAtOnce ${maxBytesAtOnce} is less than one mail of ${maxBytes}`)
  if (!isLoopback(host)) {
    if (!options.recipients && !(options.auth && !options.auth.optional))
      throw invalid(`on ${host} it would take any mail from anybody: name recipients, or who may log in, by auth`)
    if (options.auth && !options.tls) throw invalid(`on ${host} nobody can log in without tls, a key and a certificate`)
  }
  return { host, port, maxBytes, maxBytesAtOnce, maxConnections }
}

/** @throws E_USAGE */
export function listenAddress({ host = '127.0.0.1', port = defaultPort() }: SmtpOptions): {
  host: string
  port: number
} {
  return { host, port }
}

export const smtpUrl = (host: string, port: number, tls: SmtpTls | undefined) =>
  `${tls?.mode === 'implicit' ? 'smtps' : 'smtp'}://${urlHost(host)}:${port}`

export const isLoopback = (host: string) => host === 'localhost' || host === '::1' || /^127(\.\d+){3}$/.test(host)

function defaultPort(): number {
  const { TIDINGS_SMTP_PORT: text = '2525' } = process.env
  const port = Number(text)
  if (!/^\d+$/.test(text) || port > 65_535) throw new TidingsError('E_USAGE', `TIDINGS_SMTP_PORT=${text} is not a port`)
  return port
}

const invalid = (why: string) => new TidingsError('E_SETTING_INVALID', `smtp(): ${why}`)
