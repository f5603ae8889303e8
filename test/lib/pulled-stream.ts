import { type ErrorCode, type ErrorData, TidingsError } from '../../src/errors.ts'
import type { CloudEvent } from '../../src/event.ts'
import type { Principal } from '../../src/gateway/identity/principal.ts'
import { type StreamQuery, streamRequest } from '../../src/gateway/streams/stream-request.ts'
import type { Streams } from '../../src/gateway/streams/streams.ts'
import type { Ending, Transport } from '../../src/gateway/streams/transport.ts'

/** What a client of a stream gets: its place, an event and the place after it, or an event that is not stored. */
export type StreamMessage =
  | { readonly cursor: string; readonly event?: CloudEvent; readonly signal?: undefined }
  | { readonly signal: CloudEvent; readonly cursor?: undefined; readonly event?: undefined }

/**
 * A stream without HTTP, whose client reads when the test asks. The first message has only the cursor at which it starts.
 * @throws as `Streams.open`, and E_CURSOR_EXPIRED also later
 */
export async function* pullStream(
  streams: Streams,
  query: StreamQuery,
  principal: Principal,
  signal: AbortSignal,
): AsyncGenerator<StreamMessage> {
  const transport = new PullTransport(signal)
  await streams.open(streamRequest(query), principal, transport)
  yield* transport.messages()
}

/** Messages that may wait to be pulled. */
const maxWaiting = 64

class PullTransport implements Transport {
  readonly format = 'message'
  readonly closed: AbortSignal
  readonly #closing = new AbortController()
  readonly #waiting: StreamMessage[] = []
  #text = ''
  #ending: Ending | undefined
  #onMessage: (() => void) | undefined
  #onRoom: () => void = () => {}

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

  write(bytes: Buffer, onTaken?: () => void): boolean {
    const blocks = (this.#text + bytes.toString('latin1')).split('\n\n')
    this.#text = blocks.pop()!
    for (const block of blocks) this.#push(messageIn(Buffer.from(block, 'latin1').toString()))
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

  async *messages(): AsyncGenerator<StreamMessage> {
    try {
      for (;;) {
        const message = this.#waiting.shift()
        if (message) {
          yield message
          if (this.#waiting.length === 0) this.#onRoom()
          continue
        }
        if (this.#ending?.error) throw toError(this.#ending.error)
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

function messageIn(block: string): StreamMessage {
  const [head, data] = block.split('\ndata: ') as [string, string]
  const event = JSON.parse(data) as CloudEvent
  return head === 'event: signal' ? { signal: event } : { cursor: head.slice('id: '.length), event }
}

const toError = (error: ErrorData) => new TidingsError(error.code as ErrorCode, error.message, error)
