import type { ServerResponse } from 'node:http'
import { type Ending, endGraceMs, type Transport } from './transport.ts'

const headers = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-cache, no-transform',
  // The connection carries only this stream and ends with it.
  connection: 'close',
}

/** Server-sent events. */
export class SseTransport implements Transport {
  readonly format: 'event' | 'message'
  readonly closed: AbortSignal
  readonly #response: ServerResponse

  /** `format`: `message` omits the `event:` lines, so that a browser calls `onmessage`. */
  constructor(response: ServerResponse, format: 'event' | 'message') {
    this.format = format
    this.#response = response
    const closed = new AbortController()
    this.closed = closed.signal
    response.once('close', () => closed.abort())
    response.on('error', () => response.destroy())
  }

  get isIdle(): boolean {
    return this.#response.writableLength === 0
  }

  /** The id without data dispatches nothing, but a browser that reconnects before the first event sends it. */
  open(cursor: string, onTaken: () => void): void {
    this.#response.writeHead(200, headers).write(`retry: 1000\nid: ${cursor}\n\n`, onTaken)
  }

  write(bytes: Buffer, onTaken?: () => void): boolean {
    return this.#response.write(bytes, onTaken)
  }

  onDrain(callback: () => void): void {
    this.#response.on('drain', callback)
  }

  heartbeat(cursor: string | undefined, onTaken: () => void): void {
    this.#response.write(cursor === undefined ? ': heartbeat\n\n' : `: heartbeat\nid: ${cursor}\n\n`, onTaken)
  }

  end({ reason, error }: Ending): void {
    const frame = error
      ? `event: error\ndata: ${JSON.stringify({ error })}`
      : `event: closed\ndata: ${JSON.stringify({ reason })}`
    this.#response.end(`${frame}\n\n`)
    setTimeout(() => this.destroy(), endGraceMs).unref()
  }

  destroy(): void {
    this.#response.destroy()
  }
}
