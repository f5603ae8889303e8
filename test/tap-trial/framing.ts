import { brotliCompressSync, constants, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import type { Random } from '../crashloop/random.ts'
import { jsonBytes } from './texts.ts'

export interface StreamEvent {
  readonly event?: string
  /** JSON, or a text as it is. */
  readonly data: unknown
}

/** An event stream, as one of the many ways in which servers write it. */
export function streamBytes(random: Random, events: readonly StreamEvent[]): Buffer {
  const newline = random.pick(['\n', '\n', '\n', '\r\n', '\r'])
  const colon = random.pick([': ', ': ', ':'])
  const comments = random.next() < 0.2
  let text = random.next() < 0.05 ? '\ufeff' : ''
  if (comments) text += `: OPENROUTER PROCESSING${newline}${newline}`
  for (const { event, data } of events) {
    if (event !== undefined) text += `event${colon}${event}${newline}`
    if (comments && random.next() < 0.2) text += `id${colon}${random.whole(1, 99)}${newline}retry${colon}3000${newline}`
    const json = typeof data === 'string' ? data : jsonBytes(random, data)
    for (const line of json.split('\n')) text += `data${colon}${line}${newline}`
    text += newline
    if (comments && random.next() < 0.1) text += `:${newline}${newline}`
  }
  return Buffer.from(text)
}

/** Cuts bytes into the pieces that are sent one by one. */
export function pieces(random: Random, bytes: Buffer): Buffer[] {
  if (bytes.length === 0) return []
  switch (random.pick(['whole', 'random', 'random', 'bytes', 'characters', 'lines', 'events'] as const)) {
    case 'whole':
      return [bytes]
    case 'random':
      return cut(bytes, cutsAt(random, bytes.length, random.whole(1, 12)))
    case 'bytes':
      return bytes.length > 400
        ? cut(bytes, cutsAt(random, bytes.length, 40))
        : cut(bytes, Array.from(bytes.keys()).slice(1))
    // Inside of characters.
    case 'characters':
      return cut(
        bytes,
        some(
          random,
          placesOf(bytes, byte => byte >= 0x80 && byte < 0xc0),
        ),
      )
    // Between CR and LF, and before each line.
    case 'lines':
      return cut(
        bytes,
        some(
          random,
          placesOf(bytes, byte => byte === 0x0a),
        ),
      )
    case 'events':
      return cut(
        bytes,
        some(
          random,
          placesOf(bytes, (byte, i) => byte === 0x64 && bytes[i - 1] === 0x0a),
        ),
      )
  }
}

const placesOf = (bytes: Buffer, matches: (byte: number, i: number) => boolean) =>
  Array.from(bytes.keys()).filter(i => i > 0 && matches(bytes[i]!, i))

const some = (random: Random, places: readonly number[]) => places.filter(() => random.next() < 30 / places.length)

const cutsAt = (random: Random, length: number, count: number) =>
  Array.from({ length: count }, () => random.whole(1, Math.max(1, length - 1)))

/** Cuts before each of these places. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...new Set([...places, bytes.length])].toSorted((a, b) => a - b)
  return ends.map((end, i) => bytes.subarray(ends[i - 1] ?? 0, end)).filter(({ length }) => length > 0)
}

export const encodings = ['gzip', 'br', 'deflate', 'zstd'] as const

export function encoded(encoding: (typeof encodings)[number], bytes: Buffer): Buffer {
  switch (encoding) {
    case 'gzip':
      return gzipSync(bytes)
    case 'br':
      return brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } })
    case 'deflate':
      return deflateSync(bytes)
    case 'zstd':
      return zstdCompressSync(bytes)
  }
}
