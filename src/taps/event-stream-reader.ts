import { LineReader } from './line-reader.ts'

/** A server-sent event. */
export interface EventStreamMessage {
  /** Default: `message`. */
  readonly event: string
  readonly data: string
  readonly id?: string
}

/** Reads the events of a stream from its bytes. Source: https://html.spec.whatwg.org/multipage/server-sent-events.html */
export class EventStreamReader {
  readonly #lines: LineReader
  readonly #onEvent: (event: EventStreamMessage) => void
  #fields: { event?: string; id?: string; data?: string } = {}
  #isFirstLine = true
  /** The last byte was a carriage return: a line feed that follows belongs to it. */
  #endedInReturn = false

  constructor(maxLineBytes: number, onEvent: (event: EventStreamMessage) => void, onTooLong: () => void) {
    this.#onEvent = onEvent
    this.#lines = new LineReader(maxLineBytes, line => this.#line(line), onTooLong)
  }

  push(chunk: Buffer): void {
    const rest = this.#endedInReturn && chunk[0] === lineFeed ? chunk.subarray(1) : chunk
    if (chunk.length > 0) this.#endedInReturn = chunk.at(-1) === carriageReturn
    this.#lines.push(rest.includes(carriageReturn) ? withLineFeeds(rest) : rest)
  }

  #line(given: string): void {
    const line = this.#isFirstLine ? given.replace(/^\ufeff/, '') : given
    this.#isFirstLine = false
    if (line === '') return this.#dispatch()
    const [, field, value = ''] = /^(event|data|id)(?:: ?(.*))?$/s.exec(line) ?? []
    if (field === 'data') this.#fields.data = this.#fields.data === undefined ? value : `${this.#fields.data}\n${value}`
    else if (field === 'event' || field === 'id') this.#fields[field] = value
  }

  #dispatch(): void {
    const { event = 'message', data, id } = this.#fields
    this.#fields = {}
    if (data !== undefined || id !== undefined) this.#onEvent({ event, data: data ?? '', ...(id && { id }) })
  }
}

const [lineFeed, carriageReturn] = [0x0a, 0x0d]

/** A line ends in CR, LF or both. Within a value they are escaped. */
function withLineFeeds(bytes: Buffer): Buffer {
  return Buffer.from(bytes.toString('latin1').replace(/\r\n?/g, '\n'), 'latin1')
}
