import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { parseExactly } from '../../json-text.ts'
import { refusal } from './answers.ts'
import type { Hold } from '../load.ts'

/**
 * The bytes as they came: the signature is over them. @throws 400 where they are cut off, 413, 415 for what is compressed,
 * which would have to be unpacked before it is known who sent it
 */
export async function readBody(incoming: IncomingMessage, maxBytes: number, hold: Hold): Promise<Buffer> {
  const { 'content-encoding': coding = 'identity', 'content-length': declared } = incoming.headers
  if (coding.toLowerCase() !== 'identity') throw refusal(415, 'compressed bodies are not taken; send it as it is')
  const tooLarge = () => refusal(413, `the body is larger than ${maxBytes} bytes`, 'E_REQUEST_TOO_LARGE')
  if (Number(declared ?? 0) > maxBytes) throw tooLarge()
  const chunks: Buffer[] = []
  let bytes = 0
  // The stream must outlive a refusal, since its socket carries the answer.
  const stream = incoming.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>
  try {
    for await (const chunk of stream) {
      bytes += chunk.length
      if (bytes > maxBytes) throw tooLarge()
      hold(chunk.length)
      chunks.push(chunk)
    }
  } catch (error) {
    throw incoming.destroyed ? refusal(400, 'the body is cut off') : error
  }
  return Buffer.concat(chunks)
}

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
    throw refusal(400, `the body is no ${what} in UTF-8, as its content-type ${type} says`)
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
