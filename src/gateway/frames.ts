import { setImmediate } from 'node:timers/promises'
import type { Bus } from '../bus/bus.ts'
import type { Position, StoredEvent } from '../bus/driver.ts'
import { TidingsError, withoutStack } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import { hasBlobData, routedType } from '../bus/routed.ts'
import { feederOf } from '../tasks/links.ts'
import type { Turn } from '../tasks/program.ts'
import { turnType } from '../tasks/turn.ts'

/*
 * Events as they are sent. All clients that are sent an event share its bytes, and all bytes that wait for clients are counted
 * together: beyond the bound, what nobody waits for any more is dropped, then those who have read nothing for longest are cut off.
 */

/** Frames that nobody is being sent stay for those who come next, up to so many bytes. */
const maxIdle = 16 * 1024 * 1024
const maxFeeders = 1_024

/** The bytes of an event. They are counted while somebody holds them. */
export class Frame {
  readonly position: Position
  readonly bytes: Buffer
  /** The same without the name of the event, so that a browser hands it to `onmessage`. */
  readonly unnamed: Buffer
  readonly #onHeld: (frame: Frame, isHeld: boolean) => void
  #holders = 0

  constructor(position: Position, bytes: Buffer, nameBytes: number, onHeld: (frame: Frame, isHeld: boolean) => void) {
    this.position = position
    this.bytes = bytes
    this.unnamed = bytes.subarray(nameBytes)
    this.#onHeld = onHeld
  }

  /** Returns how to let go, which may be done more than once. */
  retain(): () => void {
    let isHolding = true
    if (this.#holders++ === 0) this.#onHeld(this, true)
    return () => {
      if (!isHolding) return
      isHolding = false
      if (--this.#holders === 0) this.#onHeld(this, false)
    }
  }
}

export class FrameCache {
  readonly #bus: Bus
  readonly #maxBytes: number
  readonly #relieve: () => boolean
  /** Of events whose data lies in a blob: they are large, and costly to build. */
  readonly #large = new Map<Position, Promise<Frame>>()
  readonly #kept = new Map<Position, Frame>()
  readonly #idle = new Set<Frame>()
  readonly #feeders = new Map<Position, Promise<string | undefined>>()
  #idleBytes = 0
  #bytes = 0
  #building: Promise<unknown> = Promise.resolve()

  /** `relieve`: cuts off the client that holds up most; false where there is none. */
  constructor(bus: Bus, maxBytes: number, relieve: () => boolean) {
    this.#bus = bus
    this.#maxBytes = maxBytes
    this.#relieve = relieve
  }

  /** Lends the frame of an event to `work`, which may hold it beyond that. */
  async use<T>(stored: StoredEvent, work: (frame: Frame) => T | Promise<T>): Promise<T> {
    const frame = await (hasBlobData(stored.event) ? this.#shared(stored) : this.#built(stored.position, stored.event))
    const release = frame.retain()
    try {
      return await work(frame)
    } finally {
      release()
    }
  }

  /** See {@link feederOf}: asked of many clients, the data of an event is read once. */
  feederOf({ position, event }: StoredEvent): Promise<string | undefined> | undefined {
    if (event.type !== routedType) return undefined
    let feeder = this.#feeders.get(position)
    if (!feeder) {
      feeder = this.#building.then(() => feederOf(this.#bus, event))
      this.#building = feeder.then(() => setImmediate())
      this.#feeders.set(position, feeder)
      if (this.#feeders.size > maxFeeders) this.#feeders.delete(this.#feeders.keys().next().value!)
    }
    return feeder
  }

  /** Positions begin again. */
  clear(): void {
    for (const frame of this.#idle) this.#drop(frame)
    this.#large.clear()
    this.#feeders.clear()
    this.#kept.clear()
  }

  #shared(stored: StoredEvent): Promise<Frame> {
    const { position } = stored
    let frame = this.#large.get(position)
    if (!frame) {
      // One after the other, with room for others in between: each takes a while, and several times its size of memory.
      frame = this.#building.then(() => this.#load(stored))
      this.#building = frame.catch(() => {}).then(() => setImmediate())
      this.#large.set(position, frame)
      frame.catch(() => this.#large.delete(position))
    }
    return frame
  }

  async #load({ position, event }: StoredEvent): Promise<Frame> {
    const frame = this.#built(position, await wholeEvent(this.#bus, event))
    this.#kept.set(position, frame)
    return frame
  }

  #built(position: Position, event: CloudEvent): Frame {
    const name = `event: ${event.type}\n`
    const bytes = Buffer.from(`${name}id: ${position}\ndata: ${JSON.stringify(shownOutside(event))}\n\n`)
    this.#makeRoom(bytes.length)
    return new Frame(position, bytes, Buffer.byteLength(name), (frame, isHeld) =>
      isHeld ? this.#held(frame) : this.#freed(frame),
    )
  }

  #makeRoom(bytes: number): void {
    while (this.#bytes + bytes > this.#maxBytes) {
      const [oldest] = this.#idle
      if (oldest) this.#drop(oldest)
      else if (!this.#relieve()) return
    }
  }

  #held(frame: Frame): void {
    if (this.#idle.delete(frame)) this.#idleBytes -= frame.bytes.length
    else this.#bytes += frame.bytes.length
  }

  #freed(frame: Frame): void {
    if (this.#kept.get(frame.position) !== frame) return void (this.#bytes -= frame.bytes.length)
    this.#idle.add(frame)
    this.#idleBytes += frame.bytes.length
    for (const oldest of this.#idle) {
      if (this.#idleBytes <= maxIdle) return
      this.#drop(oldest)
    }
  }

  #drop(frame: Frame): void {
    this.#idle.delete(frame)
    this.#kept.delete(frame.position)
    this.#large.delete(frame.position)
    this.#idleBytes -= frame.bytes.length
    this.#bytes -= frame.bytes.length
  }
}

/** Where the code stands is not for clients. */
function shownOutside(event: CloudEvent): CloudEvent {
  if (event.type === turnType) {
    const turn = event.data as Turn | null
    return turn?.inputs ? { ...event, data: { ...turn, inputs: turn.inputs.map(shownOutside) } } : event
  }
  const data = withoutStack(event.data)
  return data === event.data ? event : { ...event, data }
}

/** With its data where that lies in a blob. */
async function wholeEvent(bus: Bus, event: CloudEvent): Promise<CloudEvent> {
  return bus.resolve(event).catch((error: unknown) => {
    // The blob was purged; the event still happened.
    if (error instanceof TidingsError && error.code === 'E_BLOB_MISSING') return event
    throw error
  })
}
