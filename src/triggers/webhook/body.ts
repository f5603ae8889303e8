import type { IncomingHttpHeaders } from 'node:http'
import { parseExactly } from '../../json-text.ts'
import { formFields } from '../../http/form-fields.ts'
import { httpError } from '../../http/response.ts'

/**
 * Parses JSON or the fields of a form, by the content type; undefined for any other type. GitHub's form has JSON in its only
 * field, `payload`. @throws 400
 */
export function parseBody(bytes: Buffer, contentType = '', isGitHub = false): { value: unknown } | undefined {
  const type = contentType.split(';')[0]!.trim().toLowerCase()
  const isForm = type === 'application/x-www-form-urlencoded'
  if (!isForm && !/^application\/([\w.!#$&^-]+\+)?json$/.test(type)) return undefined
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    if (!isForm) return { value: parseExactly(text) }
    const fields = formFields(new URLSearchParams(text))
    return { value: isGitHub && typeof fields.payload === 'string' ? parseExactly(fields.payload) : fields }
  } catch {
    const what = isForm ? `form${isGitHub ? ' with JSON as its payload' : ''}` : 'JSON value'
    throw httpError(400, `the body is not a ${what} in UTF-8, but its content-type is ${type}`)
  }
}

const secretHeader = /sign|auth|cookie|token|secret|key|pass|cred|session|jwt|assertion/
const allowed = new Set(['idempotency-key'])

/** The headers that may be stored: none with a signature or a credential. */
export function safeHeaders(headers: IncomingHttpHeaders): Record<string, string> {
  const stored = Object.entries(headers).filter(([name]) => allowed.has(name) || !secretHeader.test(name))
  return Object.fromEntries(stored.flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : [])))
}
