import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import { socketMessage } from './encoding.ts'
import { type Ending, endGraceMs, type Transport } from './transport.ts'

/** Pings without an answer after which the client counts as gone. */
const maxMissedPongs = 2
/** A close frame has room for this much besides its code. Source: RFC 6455, section 5.5. */
const maxReasonBytes = 123

/**
 * A WebSocket that sends one message for each event. `ws` does the handshake, control frames and closing. Messages are written to the
 * connection of the socket itself, so that all clients share the bytes of events, also compressed, and each has the back-pressure of its
 * own connection. Control frames may come between two writes.
 */
export class SocketTransport implements Transport {
  readonly format: 'socket' | 'deflated'
  readonly closed: AbortSignal
  readonly #socket: WebSocket
  readonly #connection: Duplex
  #missedPongs = 0

  /** `format`: what the client can read if it agreed to compression. */
  constructor(socket: WebSocket, connection: Duplex, format: 'socket' | 'deflated') {
    this.#socket = socket
    this.#connection = connection
    this.format = socket.extensions === '' ? 'socket' : format
    const closed = new AbortController()
    this.closed = closed.signal
    socket.once('close', () => closed.abort())
    socket.on('error', () => socket.terminate())
    socket.on('pong', () => (this.#missedPongs = 0))
    socket.on('message', () => this.end({ code: 1003, reason: 'this socket only sends; the address says what' }))
  }

  get isIdle(): boolean {
    return this.#connection.writableLength === 0
  }

  open(cursor: string, onTaken: () => void): void {
    this.#send(JSON.stringify({ cursor }), onTaken)
  }

  write(bytes: Buffer, onTaken?: () => void): boolean {
    return !this.#isOpen || this.#connection.write(bytes, onTaken)
  }

  onDrain(callback: () => void): void {
    this.#connection.on('drain', callback)
  }

  heartbeat(cursor: string | undefined, onTaken: () => void): void {
    if (this.#missedPongs >= maxMissedPongs) return this.destroy()
    this.#missedPongs++
    this.#socket.ping(undefined, undefined, onTaken)
    if (cursor !== undefined) this.#send(JSON.stringify({ cursor }), onTaken)
  }

  end({ code, reason, error }: Ending): void {
    if (error) this.#send(JSON.stringify({ error }))
    this.#socket.close(code, textWithin(reason, maxReasonBytes))
    setTimeout(() => this.destroy(), endGraceMs).unref()
  }

  destroy(): void {
    this.#socket.terminate()
  }

  get #isOpen() {
    return this.#socket.readyState === this.#socket.OPEN
  }

  #send(message: string, onTaken?: () => void): void {
    const parts = socketMessage(Buffer.from(message))
    for (const part of parts) this.write(part, part === parts.at(-1) ? onTaken : undefined)
  }
}

function textWithin(text: string, bytes: number): string {
  let end = Math.min(text.length, bytes)
  while (Buffer.byteLength(text.slice(0, end)) > bytes) end--
  return text.slice(0, end)
}
