import { brotliDecompressSync, gunzipSync, inflateSync, zstdDecompressSync } from 'node:zlib'
import { parseExactly } from '../../json-text.ts'
import type { TappedMessage, TappedPayload } from '../../tasks/tapped-model.ts'
import type { CollectedBody } from '../http/body-collector.ts'
import { objectIn, type JsonObject } from '../json-read.ts'

/** Larger bodies are not read. */
export const maxBodyBytes = 8 * 1024 * 1024
/** Of larger bodies only size, digest and beginning are recorded: the data of an event has at most 4 MiB. */
const maxRecordedBytes = 3_500_000
/** Beside a larger body, long texts of messages are cut. */
const maxRepeatedBytes = 1_500_000
const maxCutChars = 4_096

/** The body of a request, as it is recorded and as it is read. */
export interface RequestBody {
  readonly payload: TappedPayload
  /** Empty if it is not an object in JSON, or was not read. */
  readonly json: JsonObject
}

export function requestBodyOf(collected: CollectedBody, encoding: string | undefined): RequestBody {
  const { length, sha256, bytes } = collected
  const about = { bytes: length, ...(sha256 !== undefined && { sha256 }) }
  const plain = bytes && decompressed(bytes, encoding)
  if (!plain) return { payload: { ...about, isCut: true }, json: {} }
  const text = plain.toString()
  const json = jsonIn(text)
  if (plain.length > maxRecordedBytes)
    return { payload: { ...about, text: text.slice(0, maxCutChars).toWellFormed(), isCut: true }, json: objectIn(json) }
  return { payload: { ...about, ...(json === undefined ? { text } : { json }) }, json: objectIn(json) }
}

const decoders: Readonly<Record<string, (bytes: Buffer, options: { maxOutputLength: number }) => Buffer>> = {
  gzip: gunzipSync,
  'x-gzip': gunzipSync,
  deflate: inflateSync,
  br: brotliDecompressSync,
  zstd: zstdDecompressSync,
}

/** Undefined if it cannot be read, or is too large. */
function decompressed(bytes: Buffer, encoding = 'identity'): Buffer | undefined {
  const name = encoding.trim().toLowerCase()
  if (name === 'identity' || name === '') return bytes
  try {
    return decoders[name]?.(bytes, { maxOutputLength: maxBodyBytes })
  } catch {
    return undefined
  }
}

/** Undefined if it is not JSON. */
export function jsonIn(text: string): unknown {
  try {
    return parseExactly(text)
  } catch {
    return undefined
  }
}

/** The messages, with long texts cut if the body is large: the body holds them as a whole. */
export function readableMessages(messages: readonly TappedMessage[], bodyBytes: number): readonly TappedMessage[] {
  return bodyBytes <= maxRepeatedBytes ? messages : messages.slice(-maxCutMessages).map(cutMessage)
}

const maxCutMessages = 200

function cutMessage({ text, reasoning, toolCalls, results, ...message }: TappedMessage): TappedMessage {
  return {
    ...message,
    ...(text !== undefined && { text: cutText(text) }),
    ...(reasoning !== undefined && { reasoning: cutText(reasoning) }),
    ...(toolCalls && { toolCalls: toolCalls.map(({ input, ...call }) => ({ ...call, input: cutValue(input) })) }),
    ...(results && { results: results.map(({ output, ...result }) => ({ ...result, output: cutValue(output) })) }),
  }
}

const cutText = (text: string) =>
  text.length <= maxCutChars
    ? text
    : `${text.slice(0, maxCutChars).toWellFormed()}… (${text.length - maxCutChars} more characters)`

function cutValue(value: unknown): unknown {
  if (typeof value === 'string') return cutText(value)
  const json = JSON.stringify(value) ?? ''
  return json.length <= maxCutChars ? value : cutText(json)
}
