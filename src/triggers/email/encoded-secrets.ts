import { decodeWords } from 'postal-mime'
import type { Redactor } from '../../bus/redact.ts'
import { htmlReader } from './html.ts'
import type { Mail } from './mail.ts'

/**
 * A mail may contain a secret in a notation that redaction does not recognise. Headers with encoded words that contain a secret
 * are decoded, and HTML is dropped if entities or tags split a secret that a reader sees.
 */
export function withoutEncodedSecrets<M extends Pick<Mail, 'headers' | 'text' | 'html'>>(
  redactor: Redactor,
  mail: M,
): M {
  const { headers, text, html, ...rest } = mail
  const keepsHtml = html !== undefined && !hidesSecret(redactor, html)
  const redactedHeaders = headers.map(field => {
    if (!field.value.includes('=?')) return field
    const value = decodeWords(field.value)
    return redactor.text(value) === value ? field : { ...field, value }
  })
  return { ...rest, headers: redactedHeaders, text, ...(keepsHtml && { html }) } as M
}

/** Whether the visible text contains a secret that redaction of the HTML does not find. */
function hidesSecret(redactor: Redactor, html: string): boolean {
  const visible = htmlReader()(html)
  const redacted = redactor.text(visible)
  return redacted !== visible && redacted !== htmlReader()(redactor.text(html))
}
