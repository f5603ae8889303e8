import { isCovered, unionOf } from '../../bus/cursor.ts'
import type { Cursor, LogEntry } from '../../bus/driver.ts'
import type { CloudEvent } from '../../event.ts'
import type { OpenTexts, TextReader } from '../../tasks/open-texts.ts'
import type { TextScope } from '../../tasks/text-delta.ts'
import { type Frame, type FrameFormat, signalBytes } from './frames.ts'
import type { StreamScope } from './stream-scope.ts'
import { type Ending, endings, type FramePart, type Transport } from './transport.ts'

/** How much may be queued in memory for a client, and how long it may read nothing while it is. */
export interface StreamLimits {
  readonly maxBufferedBytes: number
  readonly stallTimeoutMs: number
}

/** A client that gets one frame after the other gets those of this time in one write. */
const writeIntervalMs = 5
/** Most bytes of frames that are copied into one write. */
const maxMergedBytes = 16 * 1024
/** How long a client has to take what is queued when its stream ends. */
const maxEndMs = 5_000
/** Most bytes of one write. A client that reads less than this within the stall timeout is too slow. */
const maxWriteBytes = 64 * 1024

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
  readonly bytes: Buffer
  readonly isCompressed: boolean
  offset: number
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
  /** Monotonic time of the last write. */
  #wroteAt = -Infinity

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
    this.#transport.open(this.#sentCursor)
  }

  wants({ position, event }: LogEntry): boolean {
    return !isCovered(this.cursor, position) && this.scope.includes(event)
  }

  /** The text that names the place after an entry, for the frame of the entry. */
  cursorAfter({ cursor }: LogEntry): string {
    return this.scope.textOf(unionOf(cursor, this.cursor))
  }

  /** Whether events after what it has seen may be missing. `read`: the client has seen what this covers, too. */
  lacks(horizon: Cursor, read: Cursor): boolean {
    return this.scope.lacks(unionOf(unionOf(this.cursor, read), this.#options.floor), horizon)
  }

  /** Sends without waiting. False, and nothing is sent, if more than `maxBytes` are queued already. */
  trySend({ cursor }: LogEntry, frame: Frame, maxBytes = this.#options.limits.maxBufferedBytes): boolean {
    if (this.#queuedBytes > maxBytes) return false
    this.cursor = unionOf(this.cursor, cursor)
    this.#enqueue(frame, frame.retain())
    return true
  }

  /** Resolves when nothing waits for the client, or the connection is closed. */
  async drained(): Promise<void> {
    if (this.closed.aborted || (this.#queue.length === 0 && this.blockedSince === undefined)) return
    await new Promise<void>(resolve => (this.#onDrained = resolve))
  }

  /** Closes the connection of a client that is too slow. It reconnects with its last cursor. */
  disconnect(reason: string): void {
    this.#options.onDisconnect(reason)
    const isBetweenFrames = (this.#queue[0]?.offset ?? 0) === 0
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
    this.#enqueue({ bytes: signalBytes(event, this.format), isCompressed: false }, () => {})
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
      // The text must not wait for the next write, because the answer of the call ends it.
      if (this.#queue.length > 0) this.flush()
      if (!this.#isIdle) return
      this.#grown.delete(call)
      for (const event of this.#texts!.take(call)) if (this.scope.includes(event)) this.#writeSignal(event)
    }
  }

  #writeSignal(event: CloudEvent): void {
    const part = { bytes: signalBytes(event, this.format), isFirst: true, isLast: true, isCompressed: false }
    this.#transport.write([part], () => this.#sendTexts())
  }

  /** `cursor`: everything that this covers was sent or is not for the client. */
  sendHeartbeat(cursor: Cursor | undefined) {
    if (!this.#isIdle) return
    const text = cursor === undefined ? this.#sentCursor : this.scope.textOf(unionOf(cursor, this.cursor))
    this.#transport.heartbeat(text === this.#sentCursor ? undefined : text)
    this.#sentCursor = text
  }

  get #isIdle() {
    return this.#transport.isIdle && this.#queue.length === 0 && !this.closed.aborted && !this.#ending
  }

  #enqueue({ bytes, isCompressed }: Pick<Frame, 'bytes' | 'isCompressed'>, release: () => void): void {
    if (this.isEnded) return release()
    this.#queue.push({ bytes, isCompressed, offset: 0, release })
    this.#queuedBytes += bytes.length
    if (this.blockedSince !== undefined) return
    if (performance.now() - this.#wroteAt < writeIntervalMs) writeSoon(this)
    else this.#write()
  }

  /** Writes what is queued, unless the client has to read first. */
  flush(): void {
    if (this.blockedSince === undefined) this.#write()
  }

  #write(): void {
    this.#wroteAt = performance.now()
    while (this.#queue.length > 0) {
      const releases: (() => void)[] = []
      const parts = this.#nextParts(releases)
      if (!this.#transport.write(parts, this.#releaseWhenTaken(releases))) return this.#block()
    }
    this.#onEmpty()
  }

  /** Whole frames that fit into one write, or a part of a large one. `releases`: is given those of the frames that end. */
  #nextParts(releases: (() => void)[]): FramePart[] {
    const parts: FramePart[] = []
    let merged = 0
    for (let next = this.#queue[0]; next; next = this.#queue[0]) {
      const { offset, isCompressed, release } = next
      const bytes = next.bytes.subarray(offset, offset + maxWriteBytes)
      merged += bytes.length
      if (parts.length > 0 && merged > maxMergedBytes) break
      next.offset += bytes.length
      this.#queuedBytes -= bytes.length
      const isLast = next.offset === next.bytes.length
      parts.push({ bytes, isFirst: offset === 0, isLast, isCompressed })
      if (!isLast) break
      this.#queue.shift()
      releases.push(release)
    }
    return parts
  }

  /** Each part keeps the whole frame in memory until the kernel has taken it. */
  #releaseWhenTaken(releases: readonly (() => void)[]): (() => void) | undefined {
    if (releases.length === 0) return undefined
    const releaseAll = () => releases.forEach(release => release())
    this.#releases.add(releaseAll)
    return () => {
      this.#releases.delete(releaseAll)
      releaseAll()
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

const writing = new Set<StreamClient>()

function writeSoon(client: StreamClient): void {
  if (writing.size === 0) setTimeout(flushWaiting, writeIntervalMs)
  writing.add(client)
}

/** Those that are left come next time, after other work. */
function flushWaiting(): void {
  const begun = performance.now()
  for (const client of writing) {
    writing.delete(client)
    client.flush()
    if (performance.now() - begun > writeIntervalMs) break
  }
  if (writing.size > 0) setTimeout(flushWaiting, writeIntervalMs)
}
