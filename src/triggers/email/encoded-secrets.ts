import { decodeWords } from 'postal-mime'
import type { Redactor } from '../../bus/redact.ts'
import { htmlReader } from './html.ts'
import type { Mail } from './mail.ts'

/**
 * A mail says some things twice, once in a notation in which no secret is recognised. Where redaction hides something of what
 * it says, the other notation goes too: encoded words of a header are decoded, and HTML is left out where entities or tags
 * hide a secret that a reader sees.
 */
export function withoutEncodedSecrets<M extends Pick<Mail, 'headers' | 'text' | 'html'>>(
  redactor: Redactor,
  mail: M,
): M {
  const { headers, text, html, ...rest } = mail
  const isShown = html !== undefined && !hidesSecret(redactor, html)
  const clean = headers.map(field => {
    if (!field.value.includes('=?')) return field
    const value = decodeWords(field.value)
    return redactor.text(value) === value ? field : { ...field, value }
  })
  return { ...rest, headers: clean, text, ...(isShown && { html }) } as M
}

/** Whether a reader of the HTML sees a secret, or a part of one, that redaction of the HTML does not find. */
function hidesSecret(redactor: Redactor, html: string): boolean {
  const seen = htmlReader()(html)
  const clean = redactor.text(seen)
  return clean !== seen && clean !== htmlReader()(redactor.text(html))
}
