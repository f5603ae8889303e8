import { setImmediate } from 'node:timers/promises'
import type { Bus } from '../../bus/bus.ts'
import { positionKey } from '../../bus/cursor.ts'
import type { LogEntry, StoredEvent } from '../../bus/driver.ts'
import type { CloudEvent } from '../../event.ts'
import { hasBlobData, routedType } from '../../bus/routed.ts'
import { feederOf } from '../../tasks/links.ts'
import { slim } from '../../trace/slim.ts'
import { needsData } from '../../trace/trace.ts'
import { withoutStacks } from '../without-stacks.ts'
import { encodeEvent, type FrameFormat, mergeParts } from './encoding.ts'

/*
 * Clients share the encoded bytes of an event, and the bytes of all clients count against one limit. Beyond it, frames
 * that no client is waiting for are evicted first, then the clients that have read nothing for longest are disconnected.
 */

/** Frames of large events stay cached for the next clients, up to this many bytes. */
const maxIdleBytes = 16 * 1024 * 1024
const maxFeeders = 1_024

/** The events of a batch that a client wants, as it gets them. */
export interface FrameRequest {
  readonly batch: EventBatch
  readonly format: FrameFormat
  /** Rows instead of events. */
  readonly asRows: boolean
  readonly entries: readonly LogEntry[]
  /** The text that names the place after an entry. */
  cursorAfter(entry: LogEntry): string
}

export interface HeldFrames {
  readonly frames: readonly Frame[]
  release(): void
}

/** Encoded events that all clients share who get the same. Its bytes count against the limit while it is retained. */
export class Frame {
  /** One is written at a time. The last one ends with an event, the others need not. */
  readonly parts: readonly Buffer[]
  readonly bytes: number
  /** Of a frame that is cached. */
  readonly key: string | undefined
  readonly #onUse: (frame: Frame, inUse: boolean) => void
  #users = 0

  constructor(parts: readonly Buffer[], onUse: (frame: Frame, inUse: boolean) => void, key: string | undefined) {
    this.parts = parts
    this.bytes = parts.reduce((sum, { length }) => sum + length, 0)
    this.#onUse = onUse
    this.key = key
  }

  /** Returns the function that releases it; calling it twice has no effect. */
  retain(): () => void {
    let isRetained = true
    if (this.#users++ === 0) this.#onUse(this, true)
    return () => {
      if (!isRetained) return
      isRetained = false
      if (--this.#users === 0) this.#onUse(this, false)
    }
  }
}

/** Events that are sent together: each is encoded once for all formats and cursors. One whose data is in a blob is alone. */
export class EventBatch {
  readonly entries: readonly LogEntry[]
  readonly #texts = new Map<LogEntry, Promise<string>>()
  readonly #rows = new Map<LogEntry, Promise<string>>()

  constructor(entries: readonly LogEntry[]) {
    this.entries = entries
  }

  /** The event as JSON, with its data, or its row. */
  jsonOf(bus: Bus, entry: LogEntry, asRow: boolean): Promise<string> {
    const texts = asRow ? this.#rows : this.#texts
    let json = texts.get(entry)
    if (!json) texts.set(entry, (json = asRow ? rowJson(bus, entry.event) : wholeJson(bus, entry.event)))
    return json
  }
}

async function wholeJson(bus: Bus, event: CloudEvent): Promise<string> {
  return JSON.stringify(withoutStacks(hasBlobData(event) ? await bus.resolveIfStored(event) : event))
}

async function rowJson(bus: Bus, event: CloudEvent): Promise<string> {
  return JSON.stringify(slim(hasBlobData(event) && needsData(event) ? await bus.resolveIfStored(event) : event))
}

export class FrameCache {
  readonly #bus: Bus
  readonly #maxBufferedBytes: number
  readonly #disconnectSlowest: () => boolean
  /** Frames of events whose data is in a blob: they are large and expensive to build. */
  readonly #large = new Map<string, Promise<Frame>>()
  readonly #cached = new Map<string, Frame>()
  readonly #idle = new Set<Frame>()
  readonly #feeders = new Map<string, Promise<string | undefined>>()
  #idleBytes = 0
  #bytes = 0
  #building: Promise<unknown> = Promise.resolve()

  /** `disconnectSlowest` returns false if there is no client to disconnect. */
  constructor(bus: Bus, maxBufferedBytes: number, disconnectSlowest: () => boolean) {
    this.#bus = bus
    this.#maxBufferedBytes = maxBufferedBytes
    this.#disconnectSlowest = disconnectSlowest
  }

  /** The frames of a request, which the caller releases. */
  async hold(request: FrameRequest): Promise<HeldFrames> {
    const isLarge = hasBlobData(request.entries[0]!.event)
    const frames = isLarge
      ? [await this.#loadOnce(request)]
      : mergeParts(await this.#encode(request)).map(part => this.#frame([part]))
    const releases = frames.map(frame => frame.retain())
    return { frames, release: () => releases.forEach(release => release()) }
  }

  /** See {@link feederOf}. Reads the data of an event once for all clients. */
  feederOf({ position, event }: StoredEvent): Promise<string | undefined> | undefined {
    if (event.type !== routedType) return undefined
    const key = positionKey(position)
    let feeder = this.#feeders.get(key)
    if (!feeder) {
      feeder = this.#building.then(() => feederOf(this.#bus, event))
      this.#building = feeder.then(() => setImmediate())
      this.#feeders.set(key, feeder)
      if (this.#feeders.size > maxFeeders) this.#feeders.delete(this.#feeders.keys().next().value!)
    }
    return feeder
  }

  /** For a log that starts again at the beginning. */
  clear(): void {
    for (const frame of this.#idle) this.#evict(frame)
    this.#large.clear()
    this.#feeders.clear()
    this.#cached.clear()
  }

  #loadOnce(request: FrameRequest): Promise<Frame> {
    const key = frameKey(request)
    let frame = this.#large.get(key)
    if (!frame) {
      // One at a time, and yielding in between: building takes several times the memory of the event, and blocks.
      frame = this.#building.then(() => this.#load(request))
      this.#building = frame.catch(() => {}).then(() => setImmediate())
      this.#large.set(key, frame)
      frame.catch(() => this.#large.delete(key))
    }
    return frame
  }

  async #load(request: FrameRequest): Promise<Frame> {
    const frame = this.#frame(await this.#encode(request), frameKey(request))
    this.#cached.set(frame.key!, frame)
    return frame
  }

  async #encode({ batch, format, asRows, entries, cursorAfter }: FrameRequest): Promise<Buffer[]> {
    const parts: Buffer[] = []
    for (const entry of entries) {
      const json = await batch.jsonOf(this.#bus, entry, asRows)
      parts.push(...(await encodeEvent(format, { cursor: cursorAfter(entry), type: entry.event.type, json })))
    }
    return parts
  }

  #frame(parts: readonly Buffer[], key?: string): Frame {
    const onUse = (frame: Frame, inUse: boolean) => (inUse ? this.#onFirstUse(frame) : this.#onLastRelease(frame))
    const frame = new Frame(parts, onUse, key)
    this.#evictFor(frame.bytes)
    return frame
  }

  #evictFor(bytes: number): void {
    while (this.#bytes + bytes > this.#maxBufferedBytes) {
      const [oldest] = this.#idle
      if (oldest) this.#evict(oldest)
      else if (!this.#disconnectSlowest()) return
    }
  }

  #onFirstUse(frame: Frame): void {
    if (this.#idle.delete(frame)) this.#idleBytes -= frame.bytes
    else this.#bytes += frame.bytes
  }

  #onLastRelease(frame: Frame): void {
    if (frame.key === undefined || this.#cached.get(frame.key) !== frame) return void (this.#bytes -= frame.bytes)
    this.#idle.add(frame)
    this.#idleBytes += frame.bytes
    for (const oldest of this.#idle) {
      if (this.#idleBytes <= maxIdleBytes) return
      this.#evict(oldest)
    }
  }

  #evict(frame: Frame): void {
    this.#idle.delete(frame)
    this.#cached.delete(frame.key!)
    this.#large.delete(frame.key!)
    this.#idleBytes -= frame.bytes
    this.#bytes -= frame.bytes
  }
}

/** Readings that come from different places meet the same event with different cursors. */
function frameKey({ format, asRows, entries: [first], cursorAfter }: FrameRequest): string {
  return `${positionKey(first!.position)} ${format} ${asRows} ${cursorAfter(first!)}`
}
