import type { CloudEvent } from '../../event.ts'
import { type ErrorCode, TidingsError } from '../../errors.ts'
import { type Ending, type FramePart, type Transport } from './transport.ts'

/** What a client of a stream gets: its place, an event and the place after it, or an event that is not stored. */
export type StreamMessage =
  | { readonly cursor: string; readonly event?: CloudEvent; readonly signal?: undefined }
  | { readonly signal: CloudEvent; readonly cursor?: undefined; readonly event?: undefined }

/** Messages that may wait to be pulled. */
const maxWaiting = 64

/** A stream that is read in this process, for routes with a format of their own. */
export class PullTransport implements Transport {
  readonly format = 'socket'
  readonly closed: AbortSignal
  readonly #closing = new AbortController()
  #waiting: StreamMessage[] = []
  #parts: Buffer[] = []
  #ending: Ending | undefined
  #onMessage: (() => void) | undefined
  #onRoom: () => void = () => {}

  /** `signal`: the reader has left. */
  constructor(signal: AbortSignal) {
    this.closed = AbortSignal.any([signal, this.#closing.signal])
    this.closed.addEventListener('abort', () => this.#onMessage?.(), { once: true })
  }

  get isIdle(): boolean {
    return this.#waiting.length === 0
  }

  open(cursor: string): void {
    this.#push({ cursor })
  }

  write(parts: readonly FramePart[], onTaken?: () => void): boolean {
    for (const { bytes, isLast } of parts) {
      this.#parts.push(bytes)
      if (isLast) this.#push(JSON.parse(Buffer.concat(this.#parts.splice(0)).toString()) as StreamMessage)
    }
    onTaken?.()
    return this.#waiting.length < maxWaiting
  }

  onDrain(callback: () => void): void {
    this.#onRoom = callback
  }

  heartbeat(cursor: string | undefined): void {
    if (cursor !== undefined) this.#push({ cursor })
  }

  end(ending: Ending): void {
    this.#ending = ending
    this.#onMessage?.()
  }

  destroy(): void {
    this.#closing.abort()
  }

  /** @throws TidingsError if the stream ended with an error */
  async *messages(): AsyncGenerator<StreamMessage> {
    try {
      for (;;) {
        const message = this.#waiting.shift()
        if (message) {
          yield message
          if (this.#waiting.length === 0) this.#onRoom()
          continue
        }
        const { error } = this.#ending ?? {}
        if (error) throw new TidingsError(error.code as ErrorCode, error.message, error)
        if (this.#ending || this.closed.aborted) return
        await new Promise<void>(resolve => (this.#onMessage = resolve))
      }
    } finally {
      this.destroy()
    }
  }

  #push(message: StreamMessage): void {
    this.#waiting.push(message)
    this.#onMessage?.()
  }
}
