import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import { textOf, TidingsError } from '../../errors.ts'

/** The certificate of the SMTP server, and when it is used. */
export interface SmtpTls {
  /** Private key and certificate with its chain, in PEM: the text, or the path of a file. */
  key: string | undefined
  cert: string | undefined
  /**
   * `offered`: STARTTLS is optional; `required`: no mail before STARTTLS; `implicit`: TLS from the first byte, as on port
   * 465. Default `offered`.
   */
  mode?: 'offered' | 'required' | 'implicit'
}

export interface Credentials {
  key: string
  cert: string
}

/** @throws E_SETTING_INVALID if one is missing or they do not belong together */
export function credentialsOf(tls: SmtpTls): Credentials {
  const { mode = 'offered' } = tls
  if (!['offered', 'required', 'implicit'].includes(mode))
    throw invalid(`unknown mode "${mode}"; expected offered, required or implicit`)
  const [key, cert] = [read('key', tls.key), read('cert', tls.cert)]
  try {
    createSecureContext({ key, cert })
  } catch (cause) {
    throw invalid(`key and cert cannot be used: ${textOf(cause)}`, cause)
  }
  return { key, cert }
}

function read(what: 'key' | 'cert', given: string | undefined): string {
  if (!given) throw invalid(`${what} is not set; TLS needs both key and cert`)
  if (given.includes('-----BEGIN')) return given
  try {
    return readFileSync(given, 'utf8')
  } catch (cause) {
    throw invalid(`${what} cannot be read: ${textOf(cause)}`, cause)
  }
}

const invalid = (why: string, cause?: unknown) =>
  new TidingsError('E_SETTING_INVALID', `tls of the SMTP trigger: ${why}`, { cause })
