import { isUtf8 } from 'node:buffer'
import { promisify } from 'node:util'
import { brotliDecompress, gunzip, inflate, zstdDecompress } from 'node:zlib'
import { parseExactly } from '../../json-text.ts'
import { jsonProblem } from '../../json.ts'
import type { TappedBody } from '../../bus/tapped-http.ts'
import type { CollectedBody } from './body-collector.ts'
import { recordedFields } from './recorded-fields.ts'

/** What the headers say about a body. */
export interface BodyHeaders {
  readonly 'content-type'?: string | undefined
  readonly 'content-encoding'?: string | undefined
}

/** Undefined if there is no body. `putBlob` stores bytes that are neither JSON nor a form nor text; undefined if it cannot now. */
export async function recordedBody(
  collected: CollectedBody,
  headers: BodyHeaders,
  maxBytes: number,
  putBlob: (bytes: Buffer) => Promise<string | undefined>,
): Promise<TappedBody | undefined> {
  const { length, bytes } = collected
  if (length === 0) return undefined
  const plain = bytes && (await decompressed(bytes, headers['content-encoding'], maxBytes))
  if (!plain) return bodyOutline(collected)
  const readable = readableBody(plain, headers['content-type'])
  if (readable) return { bytes: length, ...readable }
  const blob = await putBlob(plain)
  return blob === undefined ? bodyOutline(collected) : { bytes: length, blob }
}

/** What is recorded of a body that is not: its size and digest. */
export const bodyOutline = ({ length, sha256 }: CollectedBody): TappedBody => ({
  bytes: length,
  ...(sha256 !== undefined && { sha256 }),
})

const decoders: Readonly<Record<string, (bytes: Buffer, options: { maxOutputLength: number }) => Promise<Buffer>>> = {
  gzip: promisify(gunzip),
  'x-gzip': promisify(gunzip),
  deflate: promisify(inflate),
  br: promisify(brotliDecompress),
  zstd: promisify(zstdDecompress),
}

/**
 * Undefined if it cannot be read, or is too large when decompressed. In the process of the service it may not be compressed yet, although
 * the header says so.
 */
async function decompressed(bytes: Buffer, encoding = 'identity', maxBytes: number): Promise<Buffer | undefined> {
  const name = encoding.trim().toLowerCase()
  if (name === 'identity' || name === '' || isUtf8(bytes)) return bytes
  return decoders[name]?.(bytes, { maxOutputLength: maxBytes }).catch(() => undefined)
}

function readableBody(bytes: Buffer, contentType = ''): Pick<TappedBody, 'json' | 'form' | 'text'> | undefined {
  const type = contentType.split(';')[0]!.trim().toLowerCase()
  if (!isUtf8(bytes)) return undefined
  if (/^application\/([\w.!#$&^-]+\+)?json$/.test(type)) return jsonBody(bytes.toString())
  if (type === 'application/x-www-form-urlencoded') return { form: recordedFields(bytes.toString()) }
  const isText = /^text\/|[/+]xml$|^application\/(javascript|graphql|yaml|x-ndjson|jsonl)$/.test(type)
  return isText ? { text: bytes.toString() } : undefined
}

/** Text if it is not JSON, or JSON that cannot be on the log, such as one that is nested too deep. */
function jsonBody(text: string): Pick<TappedBody, 'json' | 'text'> {
  try {
    const json = parseExactly(text)
    return jsonProblem(json) === undefined ? { json } : { text }
  } catch {
    return { text }
  }
}
