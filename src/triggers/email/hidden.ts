import { decodeWords } from 'postal-mime'
import { marksIn, type Redactor } from '../../bus/redact.ts'
import type { Mail } from './mail.ts'

/**
 * A mail says some things twice, once in a notation in which nothing is recognised. Where redaction hides something of what
 * it says, the other notation goes too: encoded words of a header are decoded, and HTML that shows fewer secrets than the
 * text is left out, since entities or tags may hide them.
 */
export function withoutEncodedSecrets<M extends Pick<Mail, 'headers' | 'text' | 'html'>>(
  redactor: Redactor,
  mail: M,
): M {
  const { headers, text, html, ...rest } = mail
  const hidden = marksIn(redactor.text(text))
  const isShown = html !== undefined && (hidden === 0 || marksIn(redactor.text(html)) >= hidden)
  const clean = headers.map(field => {
    if (!field.value.includes('=?')) return field
    const value = decodeWords(field.value)
    return redactor.text(value) === value ? field : { ...field, value }
  })
  return { ...rest, headers: clean, text, ...(isShown && { html }) } as M
}
