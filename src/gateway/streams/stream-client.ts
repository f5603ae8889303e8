import { isCovered, unionOf } from '../../bus/cursor.ts'
import type { Cursor, LogEntry } from '../../bus/driver.ts'
import type { CloudEvent } from '../../event.ts'
import type { OpenTexts, TextReader } from '../../tasks/open-texts.ts'
import type { TextScope } from '../../tasks/text-delta.ts'
import { encodeSignal, type FrameFormat, maxWriteBytes } from './encoding.ts'
import type { Frame } from './frames.ts'
import type { StreamScope } from './stream-scope.ts'
import { type Ending, endings, type Transport } from './transport.ts'

/** How much may be queued in memory for a client, and how long it may read nothing while it is. */
export interface StreamLimits {
  readonly maxBufferedBytes: number
  readonly stallTimeoutMs: number
}

/** How long a client has to take what is queued when its stream ends. */
const maxEndMs = 5_000

interface StreamClientOptions {
  readonly transport: Transport
  readonly scope: StreamScope
  /** Where the stream starts: everything that this does not cover. */
  readonly cursor: Cursor
  /** Events that this covers may be missing. */
  readonly floor: Cursor
  readonly limits: StreamLimits
  onDisconnect(reason: string): void
}

interface QueuedFrame {
  readonly parts: readonly Buffer[]
  /** How many parts were written. */
  written: number
  readonly release: () => void
}

/** One client of the event stream: what it may see, its cursor and its connection. */
export class StreamClient {
  /** Everything that this covers was sent or is not for the client. */
  cursor: Cursor
  readonly scope: StreamScope
  readonly format: FrameFormat
  /** Aborts when either side closes the connection. */
  readonly closed: AbortSignal
  /** Monotonic time at which it stopped reading its queue; undefined while it reads. */
  blockedSince: number | undefined
  readonly #options: StreamClientOptions
  readonly #transport: Transport
  #queue: QueuedFrame[] = []
  #queuedBytes = 0
  /** For frames whose last part is written, but not yet taken by the kernel. */
  readonly #releases = new Set<() => void>()
  #stallTimer: NodeJS.Timeout | undefined
  #onDrained: (() => void) | undefined
  #texts: TextReader | undefined
  /** Calls with text that the client lacks. */
  readonly #grown = new Set<string>()
  /** Set when nothing more may be queued. */
  #ending: Ending | undefined
  #hasEnded = false
  /** The last cursor that the client was sent. */
  #sentCursor: string

  constructor(options: StreamClientOptions) {
    const { transport, scope, cursor } = options
    this.#options = options
    this.#transport = transport
    this.cursor = cursor
    this.scope = scope
    this.format = transport.format
    this.closed = transport.closed
    this.#sentCursor = scope.textOf(cursor)
    this.closed.addEventListener('abort', () => this.#dropQueue(), { once: true })
    transport.onDrain(() => this.#resume())
  }

  get isEnded(): boolean {
    return this.closed.aborted || this.#ending !== undefined
  }

  open(): void {
    this.#transport.open(this.#sentCursor, () => this.#sendTexts())
  }

  wants({ position, event }: LogEntry): boolean {
    return !isCovered(this.cursor, position) && this.scope.mayRead(event.type)
  }

  /** Whether events after what it has seen may be missing. `read`: the client has seen what this covers, too. */
  lacks(horizon: Cursor, read: Cursor): boolean {
    return this.scope.lacks(unionOf(unionOf(this.cursor, read), this.#options.floor), horizon)
  }

  /** Sends without waiting. False, and nothing is sent, if more than `maxBytes` are queued already. */
  trySend(frames: readonly Frame[], maxBytes = this.#options.limits.maxBufferedBytes): boolean {
    if (this.#queuedBytes > maxBytes) return false
    for (const frame of frames) this.#enqueue(frame.parts, frame.retain())
    return true
  }

  /** It was sent what it wants up to here. */
  advance(cursor: Cursor): void {
    this.cursor = unionOf(this.cursor, cursor)
  }

  /** Resolves when nothing waits for the client, or the connection is closed. */
  async drained(): Promise<void> {
    if (this.closed.aborted || (this.#queue.length === 0 && this.blockedSince === undefined)) return
    await new Promise<void>(resolve => (this.#onDrained = resolve))
  }

  /** Closes the connection of a client that is too slow. It reconnects with its last cursor. */
  disconnect(reason: string): void {
    this.#options.onDisconnect(reason)
    const isBetweenFrames = (this.#queue[0]?.written ?? 0) === 0
    this.#ending = endings.slow(reason)
    this.#hasEnded = true
    this.#dropQueue()
    if (isBetweenFrames) this.#transport.end(this.#ending)
    else this.#transport.destroy()
  }

  /** Ends the stream when what is queued was sent. */
  end(ending: Ending) {
    if (this.#ending || this.closed.aborted) return
    this.#ending = ending
    if (this.blockedSince === undefined) this.#write()
    setTimeout(() => this.#transport.destroy(), maxEndMs).unref()
  }

  /** Signals may be lost: a client with a backlog does not get them. */
  sendSignal(event: CloudEvent) {
    if (this.blockedSince !== undefined || this.#queuedBytes > maxWriteBytes) return
    this.#enqueue(encodeSignal(this.format, event), () => {})
  }

  /** From now on the client gets the text that models in its scope write: what there is so far, then the rest. */
  readTexts(texts: OpenTexts): void {
    const { texts: scopes } = this.scope
    if (this.#texts || scopes.length === 0 || this.isEnded) return
    const reader = texts.read(call => {
      this.#grown.add(call)
      this.#sendTexts()
    })
    this.#texts = reader
    this.closed.addEventListener('abort', () => reader.close(), { once: true })
    for (const scope of scopes) reader.follow(scope)
  }

  /** It gets those of another scope too. */
  followTexts(scope: TextScope): void {
    this.#texts?.follow(scope)
  }

  /** A client with a backlog gets a larger piece when it has taken it. */
  #sendTexts(): void {
    for (const call of this.#grown) {
      if (!this.#isIdle) return
      this.#grown.delete(call)
      for (const event of this.#texts!.take(call)) if (this.scope.includes(event)) this.#writeSignal(event)
    }
  }

  #writeSignal(event: CloudEvent): void {
    const parts = encodeSignal(this.format, event)
    for (const part of parts) this.#transport.write(part, part === parts.at(-1) ? () => this.#sendTexts() : undefined)
  }

  /** `cursor`: everything that this covers was sent or is not for the client. */
  sendHeartbeat(cursor: Cursor | undefined) {
    if (!this.#isIdle) return
    const text = cursor === undefined ? this.#sentCursor : this.scope.textOf(unionOf(cursor, this.cursor))
    this.#transport.heartbeat(text === this.#sentCursor ? undefined : text, () => this.#sendTexts())
    this.#sentCursor = text
  }

  get #isIdle() {
    return this.#transport.isIdle && this.#queue.length === 0 && !this.closed.aborted && !this.#ending
  }

  #enqueue(parts: readonly Buffer[], release: () => void): void {
    if (this.isEnded) return release()
    this.#queue.push({ parts, written: 0, release })
    for (const { length } of parts) this.#queuedBytes += length
    if (this.blockedSince === undefined) this.#write()
  }

  #write(): void {
    for (let next = this.#queue[0]; next; next = this.#queue[0]) {
      const part = next.parts[next.written++]!
      this.#queuedBytes -= part.length
      const isLast = next.written === next.parts.length
      if (isLast) this.#queue.shift()
      if (!this.#transport.write(part, isLast ? this.#whenTaken(next.release) : undefined)) return this.#block()
    }
    this.#onEmpty()
  }

  /** Each part keeps the whole frame in memory until the kernel has taken it. */
  #whenTaken(release: () => void): () => void {
    this.#releases.add(release)
    return () => {
      this.#releases.delete(release)
      release()
      this.#sendTexts()
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
    if (this.#ending && !this.#hasEnded) {
      this.#hasEnded = true
      this.#transport.end(this.#ending)
    }
    this.#onDrained?.()
    this.#onDrained = undefined
    this.#sendTexts()
  }

  #dropQueue(): void {
    this.#unblock()
    for (const { release } of this.#queue.splice(0)) release()
    for (const release of this.#releases) release()
    this.#releases.clear()
    this.#queuedBytes = 0
    this.#onDrained?.()
    this.#onDrained = undefined
  }
}
