import type { ServerResponse } from 'node:http'
import { isCovered, unionOf } from '../../bus/cursor.ts'
import type { Cursor, LogEntry } from '../../bus/driver.ts'
import type { CloudEvent } from '../../event.ts'
import { LinkedScope } from '../../tasks/links.ts'
import type { Frame } from './frames.ts'
import type { StreamRequest } from './stream-request.ts'

/** How much may be queued in memory for a client, and how long it may read nothing while it is. */
export interface StreamLimits {
  readonly maxBufferedBytes: number
  readonly stallTimeoutMs: number
}

/** Most bytes of one write. A client that reads less than this within the stall timeout is too slow. */
const maxWriteBytes = 64 * 1024

interface StreamClientOptions {
  readonly response: ServerResponse
  readonly request: StreamRequest
  /** Where the stream starts: everything that this does not cover. */
  readonly cursor: Cursor
  readonly limits: StreamLimits
  onDisconnect(reason: string): void
}

interface QueuedFrame {
  readonly bytes: Buffer
  offset: number
  readonly release: () => void
}

/** One client of the event stream: its filter, its cursor and its connection. */
export class StreamClient {
  /** Everything that this covers was sent or did not match. */
  cursor: Cursor
  /** Aborts when either side closes the connection. */
  readonly closed: AbortSignal
  /** Monotonic time at which it stopped reading its queue; undefined while it reads. */
  blockedSince: number | undefined
  readonly #options: StreamClientOptions
  /** For a client of one correlation: that correlation and the workflow instances that it feeds. */
  readonly #scope: LinkedScope | undefined
  #queue: QueuedFrame[] = []
  #queuedBytes = 0
  /** For frames whose last part is written, but not yet taken by the kernel. */
  readonly #releases = new Set<() => void>()
  #stallTimer: NodeJS.Timeout | undefined
  #onDrained: (() => void) | undefined

  constructor(options: StreamClientOptions) {
    const { response, request, cursor } = options
    this.#options = options
    this.cursor = cursor
    if (request.correlation !== undefined) this.#scope = new LinkedScope(request.correlation)
    const closed = new AbortController()
    this.closed = closed.signal
    response.once('close', () => {
      this.#dropQueue()
      closed.abort()
    })
    response.on('drain', () => this.#resume())
    response.on('error', () => response.destroy())
  }

  /** Must be called in the order of each correlation. `feeder`: see {@link feederOf}. */
  wants({ position, event }: LogEntry, feeder: string | undefined): boolean {
    this.#scope?.see(event, feeder)
    return !isCovered(this.cursor, position) && this.#matches(event)
  }

  #matches(event: CloudEvent): boolean {
    return (this.#scope?.has(event) ?? true) && this.#options.request.matches(event)
  }

  /** Sends without waiting. False, and nothing is sent, if the queue is full. */
  trySend({ cursor }: LogEntry, frame: Frame): boolean {
    if (this.#queuedBytes > this.#options.limits.maxBufferedBytes) return false
    this.cursor = cursor
    this.#enqueue(frame)
    return true
  }

  /** Sends, and waits until the client has taken it. */
  async send({ cursor }: LogEntry, frame: Frame): Promise<void> {
    this.cursor = unionOf(this.cursor, cursor)
    if (this.closed.aborted) return
    this.#enqueue(frame)
    if (this.#queue.length > 0 || this.blockedSince !== undefined)
      await new Promise<void>(resolve => (this.#onDrained = resolve))
  }

  /** Closes the connection. The client reconnects with its last cursor. */
  disconnect(reason: string): void {
    this.#options.onDisconnect(reason)
    this.#dropQueue()
    this.#options.response.destroy()
  }

  sendSignal(event: CloudEvent, frame: Buffer) {
    if (this.#matches(event)) this.#writeIfIdle(frame)
  }

  sendHeartbeat() {
    this.#writeIfIdle(heartbeat)
  }

  end() {
    this.#options.response.end()
  }

  // For frames that may be lost: a client with a backlog does not get them.
  #writeIfIdle(frame: Buffer) {
    if (this.#options.response.writableLength === 0 && this.#queue.length === 0 && !this.closed.aborted)
      this.#options.response.write(frame)
  }

  #enqueue(frame: Frame): void {
    const bytes = this.#options.request.isUnnamed ? frame.unnamed : frame.bytes
    this.#queue.push({ bytes, offset: 0, release: frame.retain() })
    this.#queuedBytes += bytes.length
    if (this.blockedSince === undefined) this.#write()
  }

  #write(): void {
    for (let next = this.#queue[0]; next; next = this.#queue[0]) {
      const part = next.bytes.subarray(next.offset, next.offset + maxWriteBytes)
      next.offset += part.length
      this.#queuedBytes -= part.length
      const isLast = next.offset === next.bytes.length
      if (isLast) this.#queue.shift()
      if (!this.#options.response.write(part, isLast ? this.#releaseWhenWritten(next.release) : undefined))
        return this.#block()
    }
    this.#onEmpty()
  }

  /** Each part keeps the whole frame in memory until the kernel has taken it. */
  #releaseWhenWritten(release: () => void): () => void {
    this.#releases.add(release)
    return () => {
      this.#releases.delete(release)
      release()
    }
  }

  #block(): void {
    this.blockedSince = performance.now()
    const { stallTimeoutMs } = this.#options.limits
    const giveUp = () => this.disconnect(`it read nothing for ${stallTimeoutMs} ms`)
    this.#stallTimer = setTimeout(giveUp, stallTimeoutMs).unref()
  }

  #resume(): void {
    this.#unblock()
    this.#write()
  }

  #unblock(): void {
    clearTimeout(this.#stallTimer)
    this.blockedSince = undefined
  }

  #onEmpty(): void {
    this.#onDrained?.()
    this.#onDrained = undefined
  }

  #dropQueue(): void {
    this.#unblock()
    for (const { release } of this.#queue.splice(0)) release()
    for (const release of this.#releases) release()
    this.#releases.clear()
    this.#queuedBytes = 0
    this.#onEmpty()
  }
}

const heartbeat = Buffer.from(': heartbeat\n\n')

export const signalFrame = (event: CloudEvent) => Buffer.from(`event: signal\ndata: ${JSON.stringify(event)}\n\n`)
