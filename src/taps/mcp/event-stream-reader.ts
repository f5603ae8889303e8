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

  constructor(maxLineBytes: number, onEvent: (event: EventStreamMessage) => void, onTooLong: () => void) {
    this.#onEvent = onEvent
    this.#lines = new LineReader(maxLineBytes, line => this.#line(line.replace(/\r$/, '')), onTooLong)
  }

  push(chunk: Buffer): void {
    this.#lines.push(chunk)
  }

  #line(line: string): void {
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
