import type { IncomingHttpHeaders } from 'node:http'
import { parseExactly } from '../../json-text.ts'
import { httpError } from '../../http/response.ts'

/**
 * What the bytes say, by the content type: JSON or fields of a form; undefined for any other. GitHub's form has JSON in its
 * one field, `payload`. @throws 400
 */
export function readValue(bytes: Buffer, contentType = '', isGitHub = false): { value: unknown } | undefined {
  const type = contentType.split(';')[0]!.trim().toLowerCase()
  const isForm = type === 'application/x-www-form-urlencoded'
  if (!isForm && !/^application\/([\w.!#$&^-]+\+)?json$/.test(type)) return undefined
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    if (!isForm) return { value: parseExactly(text) }
    const fields = fieldsOf(text)
    return { value: isGitHub && typeof fields.payload === 'string' ? parseExactly(fields.payload) : fields }
  } catch {
    const what = isForm ? `form${isGitHub ? ' with JSON as its payload' : ''}` : 'JSON'
    throw httpError(400, `the body is no ${what} in UTF-8, as its content-type ${type} says`)
  }
}

/** A field that is there several times is a list. */
function fieldsOf(text: string): Record<string, string | string[]> {
  const fields = new Map<string, string[]>()
  for (const [name, value] of new URLSearchParams(text)) if (!fields.get(name)?.push(value)) fields.set(name, [value])
  return Object.fromEntries([...fields].map(([name, values]) => [name, values.length === 1 ? values[0]! : values]))
}

const secretHeader = /sign|auth|cookie|token|secret|key|pass|cred|session|jwt|assertion/
const harmless = new Set(['idempotency-key'])

/** The headers that may be kept: none that carries a signature or lets somebody in. */
export function readHeaders(headers: IncomingHttpHeaders): Record<string, string> {
  const kept = Object.entries(headers).filter(([name]) => harmless.has(name) || !secretHeader.test(name))
  return Object.fromEntries(kept.flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : [])))
}
