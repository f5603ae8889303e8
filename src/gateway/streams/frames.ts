import { setImmediate } from 'node:timers/promises'
import type { Bus } from '../../bus/bus.ts'
import { positionKey } from '../../bus/cursor.ts'
import type { LogEntry, StoredEvent } from '../../bus/driver.ts'
import { withoutStack } from '../../errors.ts'
import type { CloudEvent } from '../../event.ts'
import { hasBlobData, routedType } from '../../bus/routed.ts'
import { feederOf } from '../../tasks/links.ts'
import type { Turn } from '../../tasks/program.ts'
import { turnType } from '../../tasks/turn.ts'

/*
 * Clients share the encoded bytes of an event, and the bytes of all clients count against one limit. Beyond it, frames
 * that no client is waiting for are evicted first, then the clients that have read nothing for longest are disconnected.
 */

/** Frames of large events stay cached for the next clients, up to this many bytes. */
const maxIdleBytes = 16 * 1024 * 1024
const maxFeeders = 1_024

interface FrameOptions {
  key: string
  bytes: Buffer
  headerBytes: number
  onUse: (frame: Frame, inUse: boolean) => void
}

/** The encoded bytes of an event. They count against the limit while they are retained. */
export class Frame {
  readonly key: string
  readonly bytes: Buffer
  /** The same without the `event:` line, so that a browser calls `onmessage`. */
  readonly unnamed: Buffer
  readonly #onUse: (frame: Frame, inUse: boolean) => void
  #users = 0

  /** `headerBytes`: the length of the `event:` line. */
  constructor({ key, bytes, headerBytes, onUse }: FrameOptions) {
    this.key = key
    this.bytes = bytes
    this.unnamed = bytes.subarray(headerBytes)
    this.#onUse = onUse
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

  /** Retains the frame of an event while `work` runs; `work` may retain it for longer. */
  async use<T>(entry: LogEntry, work: (frame: Frame) => T | Promise<T>): Promise<T> {
    const frame = await (hasBlobData(entry.event) ? this.#loadOnce(entry) : this.#build(entry))
    const release = frame.retain()
    try {
      return await work(frame)
    } finally {
      release()
    }
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

  #loadOnce(entry: LogEntry): Promise<Frame> {
    const key = frameKey(entry)
    let frame = this.#large.get(key)
    if (!frame) {
      // One at a time, and yielding in between: building takes several times the memory of the event, and blocks.
      frame = this.#building.then(() => this.#load(entry))
      this.#building = frame.catch(() => {}).then(() => setImmediate())
      this.#large.set(key, frame)
      frame.catch(() => this.#large.delete(key))
    }
    return frame
  }

  async #load(entry: LogEntry): Promise<Frame> {
    const frame = this.#build({ ...entry, event: await this.#bus.resolveIfStored(entry.event) })
    this.#cached.set(frame.key, frame)
    return frame
  }

  #build(entry: LogEntry): Frame {
    const { cursor, event } = entry
    const header = `event: ${event.type}\n`
    const bytes = Buffer.from(`${header}id: ${cursor}\ndata: ${JSON.stringify(withoutStacks(event))}\n\n`)
    this.#evictFor(bytes.length)
    const onUse = (frame: Frame, inUse: boolean) => (inUse ? this.#onFirstUse(frame) : this.#onLastRelease(frame))
    return new Frame({ key: frameKey(entry), bytes, headerBytes: Buffer.byteLength(header), onUse })
  }

  #evictFor(bytes: number): void {
    while (this.#bytes + bytes > this.#maxBufferedBytes) {
      const [oldest] = this.#idle
      if (oldest) this.#evict(oldest)
      else if (!this.#disconnectSlowest()) return
    }
  }

  #onFirstUse(frame: Frame): void {
    if (this.#idle.delete(frame)) this.#idleBytes -= frame.bytes.length
    else this.#bytes += frame.bytes.length
  }

  #onLastRelease(frame: Frame): void {
    if (this.#cached.get(frame.key) !== frame) return void (this.#bytes -= frame.bytes.length)
    this.#idle.add(frame)
    this.#idleBytes += frame.bytes.length
    for (const oldest of this.#idle) {
      if (this.#idleBytes <= maxIdleBytes) return
      this.#evict(oldest)
    }
  }

  #evict(frame: Frame): void {
    this.#idle.delete(frame)
    this.#cached.delete(frame.key)
    this.#large.delete(frame.key)
    this.#idleBytes -= frame.bytes.length
    this.#bytes -= frame.bytes.length
  }
}

/** Readings that come from different places meet the same event with different cursors. */
const frameKey = ({ cursor, position }: LogEntry) => `${positionKey(position)} ${cursor}`

/** Clients do not see where in the source code an error was thrown. */
function withoutStacks(event: CloudEvent): CloudEvent {
  if (event.type === turnType) {
    const turn = event.data as Turn | null
    return turn?.inputs ? { ...event, data: { ...turn, inputs: turn.inputs.map(withoutStacks) } } : event
  }
  const data = withoutStack(event.data)
  return data === event.data ? event : { ...event, data }
}
