import type { IncomingHttpHeaders } from 'node:http'
import type { TappedPayload } from '../../tasks/tapped-model.ts'
import type { CaptureShare } from '../capture-room.ts'
import { bodyDecoder, type BodyDecoder } from '../body-decoder.ts'
import { BodyCollector, type CollectedBody } from '../http/body-collector.ts'
import { EventStreamReader } from '../event-stream-reader.ts'
import { isObject } from '../json-read.ts'
import { providerMessage, type ModelApi, type ReadAnswer, type StreamCollector } from './model-api.ts'
import { jsonIn, maxBodyBytes } from './model-payload.ts'

/** A response that was read as far as it came. */
export interface ReadResponse {
  /** Undefined if it is not an answer of the protocol. */
  readonly read: ReadAnswer | undefined
  /** What a provider that failed says about it. */
  readonly message: string | undefined
  /** Size and digest, with the content if the answer does not hold all of it. */
  readonly payload: TappedPayload
}

/** A stream may be longer than what is kept of it, but not endless. */
const maxStreamBytes = 1024 * 1024 * 1024
/** Of a stream, this much is recorded if it could not be read as a whole. */
const maxKeptBytes = 256 * 1024

/** Reads the response to a call of a model from what passes. */
export class ModelResponse {
  readonly #api: ModelApi
  readonly #decoder: BodyDecoder
  readonly #sent = new BodyCollector(0)
  readonly #kept: BodyCollector
  readonly #stream: StreamCollector | undefined
  readonly #events: EventStreamReader | undefined
  readonly #decoded = Promise.withResolvers<void>()
  #isDecoded = false
  #problem: string | undefined

  /** `share`: what it may keep of the memory of all bodies. */
  constructor(api: ModelApi, headers: IncomingHttpHeaders, share?: CaptureShare) {
    this.#api = api
    const isStream = /^text\/event-stream\b/i.test(headers['content-type']?.trim() ?? '')
    this.#stream = isStream ? api.collect?.() : undefined
    const maxBytes = this.#stream ? maxStreamBytes : maxBodyBytes
    this.#kept = new BodyCollector(this.#stream ? maxKeptBytes : maxBodyBytes, share)
    const stream = this.#stream
    this.#events =
      stream && new EventStreamReader(maxBodyBytes, ({ data }) => data !== '' && stream.add(data), this.#tooLong)
    this.#decoder = bodyDecoder(headers['content-encoding'], maxBytes, {
      chunk: bytes => {
        this.#kept.push(bytes)
        this.#events?.push(bytes)
      },
      end: problem => {
        this.#problem ??= problem
        this.#isDecoded = true
        this.#decoded.resolve()
      },
    })
  }

  push(chunk: Buffer): void {
    this.#sent.push(chunk)
    this.#decoder.push(chunk)
  }

  /** Calls back when the received bytes have been read: immediately, unless they are compressed. `isWhole`: the response is complete. */
  end(isWhole: boolean, onRead: (response: ReadResponse) => void): void {
    this.#decoder.end()
    if (this.#isDecoded) onRead(this.#read(isWhole))
    else void this.#decoded.promise.then(() => onRead(this.#read(isWhole)))
  }

  readonly #tooLong = () => void (this.#problem ??= `an event of the stream is larger than ${maxBodyBytes} bytes`)

  #read(isWhole: boolean): ReadResponse {
    // The last event of a stream may end without its empty line.
    this.#events?.push(Buffer.from('\n\n'))
    const sent = this.#sent.end(isWhole)
    const { bytes } = this.#kept.end(true)
    const text = bytes?.toString()
    const json = this.#stream || text === undefined ? undefined : jsonIn(text)
    const read = this.#stream?.read() ?? (isObject(json) ? this.#api.answer(json) : undefined)
    const isAll = read !== undefined && !read.isPartial && this.#problem === undefined
    return {
      read,
      message: isObject(json) ? providerMessage(json) : text?.slice(0, maxMessageChars).trim(),
      payload: isAll
        ? outlineOf(sent)
        : { ...outlineOf(sent), ...contentOf(text, json), ...(text === undefined && { isCut: true }) },
    }
  }
}

const maxMessageChars = 500

const outlineOf = ({ length, sha256 }: CollectedBody): TappedPayload => ({
  bytes: length,
  ...(sha256 !== undefined && { sha256 }),
})

const contentOf = (text: string | undefined, json: unknown): Pick<TappedPayload, 'json' | 'text'> =>
  json !== undefined ? { json } : text === undefined ? {} : { text: text.slice(0, maxKeptBytes).toWellFormed() }
