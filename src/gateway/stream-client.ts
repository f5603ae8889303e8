import type { ServerResponse } from 'node:http'
import type { Position, StoredEvent } from '../bus/driver.ts'
import type { CloudEvent } from '../event.ts'
import { LinkedScope } from '../tasks/links.ts'
import type { Frame } from './frames.ts'
import type { StreamRequest } from './stream-request.ts'

/** How much may wait for a client in memory, in bytes, and how long it may take nothing of it, in ms. */
export interface StreamLimits {
  readonly maxBufferedBytes: number
  readonly stallTimeoutMs: number
}

/** What is written at once. A client that takes so little in the time that it has reads too slowly. */
const maxWrite = 64 * 1024

interface Waiting {
  readonly bytes: Buffer
  offset: number
  readonly release: () => void
}

/** One client of the stream: what it wants, how far it is, and the connection that it reads from. */
export class StreamClient {
  /** Everything up to here was sent, or was not wanted. */
  position: Position
  /** Aborts when the connection is closed, by whichever side. */
  readonly closed: AbortSignal
  /** Since when it has taken nothing of what waits for it, by the monotonic clock. */
  blockedSince: number | undefined
  readonly #request: StreamRequest
  /** Where the client asked for a correlation: that, and the instances of workflows that it fed. */
  readonly #scope: LinkedScope | undefined
  readonly #response: ServerResponse
  readonly #patience: StreamLimits
  readonly #onCut: (why: string) => void
  #waiting: Waiting[] = []
  #waitingBytes = 0
  /** Of frames of which the last part is on its way. */
  readonly #releases = new Set<() => void>()
  #stall: NodeJS.Timeout | undefined
  #onEmpty: (() => void) | undefined

  constructor(
    response: ServerResponse,
    request: StreamRequest,
    position: Position,
    patience: StreamLimits,
    onCut: (why: string) => void,
  ) {
    this.position = position
    this.#response = response
    this.#request = request
    if (request.correlation !== undefined) this.#scope = new LinkedScope(request.correlation)
    this.#patience = patience
    this.#onCut = onCut
    const closed = new AbortController()
    this.closed = closed.signal
    response.once('close', () => {
      this.#forget()
      closed.abort()
    })
    response.on('drain', () => this.#resume())
    response.on('error', () => response.destroy())
  }

  /** Asked in the order of the log. `feeder`: see {@link feederOf}. */
  wants({ position, event }: StoredEvent, feeder: string | undefined): boolean {
    this.#scope?.see(event, feeder)
    return position > this.position && this.#matches(event)
  }

  #matches(event: CloudEvent): boolean {
    return (this.#scope?.has(event) ?? true) && this.#request.matches(event)
  }

  /** At the pace of the log. False when too much waits already: then nothing was sent. */
  trySend({ position }: StoredEvent, frame: Frame): boolean {
    if (this.#waitingBytes > this.#patience.maxBufferedBytes) return false
    this.position = position
    this.#enqueue(frame)
    return true
  }

  /** At the pace of the client. */
  async send({ position }: StoredEvent, frame: Frame): Promise<void> {
    this.position = position
    if (this.closed.aborted) return
    this.#enqueue(frame)
    if (this.#waiting.length > 0 || this.blockedSince !== undefined)
      await new Promise<void>(resolve => (this.#onEmpty = resolve))
  }

  /** Cuts it off; it comes back with its last position. */
  disconnect(why: string): void {
    this.#onCut(why)
    this.#forget()
    this.#response.destroy()
  }

  sendSignal(event: CloudEvent, frame: Buffer) {
    if (this.#matches(event)) this.#whisper(frame)
  }

  sendHeartbeat() {
    this.#whisper(heartbeat)
  }

  end() {
    this.#response.end()
  }

  // What may be lost: not for a client that is behind with its reading.
  #whisper(frame: Buffer) {
    if (this.#response.writableLength === 0 && this.#waiting.length === 0 && !this.closed.aborted)
      this.#response.write(frame)
  }

  #enqueue(frame: Frame): void {
    const bytes = this.#request.isUnnamed ? frame.unnamed : frame.bytes
    this.#waiting.push({ bytes, offset: 0, release: frame.retain() })
    this.#waitingBytes += bytes.length
    if (this.blockedSince === undefined) this.#write()
  }

  #write(): void {
    for (let next = this.#waiting[0]; next; next = this.#waiting[0]) {
      const part = next.bytes.subarray(next.offset, next.offset + maxWrite)
      next.offset += part.length
      this.#waitingBytes -= part.length
      const isLast = next.offset === next.bytes.length
      if (isLast) this.#waiting.shift()
      if (!this.#response.write(part, isLast ? this.#releasing(next.release) : undefined)) return this.#block()
    }
    this.#onEmpty?.()
    this.#onEmpty = undefined
  }

  /** A part keeps all of its frame in memory until the kernel has taken it. */
  #releasing(release: () => void): () => void {
    this.#releases.add(release)
    return () => {
      this.#releases.delete(release)
      release()
    }
  }

  #block(): void {
    this.blockedSince = performance.now()
    const { stallTimeoutMs: stallMs } = this.#patience
    this.#stall = setTimeout(() => this.disconnect(`it took nothing for ${stallMs} ms`), stallMs).unref()
  }

  #resume(): void {
    clearTimeout(this.#stall)
    this.blockedSince = undefined
    this.#write()
  }

  #forget(): void {
    clearTimeout(this.#stall)
    this.blockedSince = undefined
    for (const { release } of this.#waiting.splice(0)) release()
    for (const release of this.#releases) release()
    this.#releases.clear()
    this.#waitingBytes = 0
    this.#onEmpty?.()
    this.#onEmpty = undefined
  }
}

const heartbeat = Buffer.from(': heartbeat\n\n')

export const signalFrame = (event: CloudEvent) => Buffer.from(`event: signal\ndata: ${JSON.stringify(event)}\n\n`)
