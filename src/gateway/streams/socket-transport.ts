import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import { type Ending, endGraceMs, type FramePart, type Transport } from './transport.ts'

/** Pings without an answer after which the client counts as gone. */
const maxMissedPongs = 2
/** A close frame has room for this much besides its code. Source: RFC 6455, section 5.5. */
const maxReasonBytes = 123

/**
 * A WebSocket that sends one message for each event. `ws` does the handshake, control frames and closing. Messages are written to the
 * connection of the socket itself, in fragments, so that all clients share the bytes of an event, also compressed, and each has the
 * back-pressure of its own connection. Control frames may come between fragments.
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

  open(cursor: string): void {
    this.#send(JSON.stringify({ cursor }))
  }

  write(parts: readonly FramePart[], onTaken?: () => void): boolean {
    if (!this.#isOpen) return true
    const buffers = parts.flatMap(part => [headerOf(part), part.bytes])
    if (parts.length > 1) return this.#connection.write(Buffer.concat(buffers), onTaken)
    this.#connection.cork()
    this.#connection.write(buffers[0])
    const hasRoom = this.#connection.write(buffers[1], onTaken)
    this.#connection.uncork()
    return hasRoom
  }

  onDrain(callback: () => void): void {
    this.#connection.on('drain', callback)
  }

  heartbeat(cursor: string | undefined): void {
    if (this.#missedPongs >= maxMissedPongs) return this.destroy()
    this.#missedPongs++
    this.#socket.ping()
    if (cursor !== undefined) this.#send(JSON.stringify({ cursor }))
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

  #send(message: string): void {
    this.write([{ bytes: Buffer.from(message), isFirst: true, isLast: true, isCompressed: false }])
  }
}

/** The header of a text frame of a server, or of a continuation. Source: RFC 6455, section 5.2, and RFC 7692, section 6. */
function headerOf({ bytes: { length }, isFirst, isLast, isCompressed }: FramePart): Buffer {
  const header = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10)
  header[0] = (isLast ? 0x80 : 0) | (isFirst ? 0x01 : 0) | (isFirst && isCompressed ? 0x40 : 0)
  if (length < 126) header[1] = length
  else if (length < 65_536) {
    header[1] = 126
    header.writeUInt16BE(length, 2)
  } else {
    header[1] = 127
    header.writeBigUInt64BE(BigInt(length), 2)
  }
  return header
}

function textWithin(text: string, bytes: number): string {
  let end = Math.min(text.length, bytes)
  while (Buffer.byteLength(text.slice(0, end)) > bytes) end--
  return text.slice(0, end)
}
