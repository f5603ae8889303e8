import { setImmediate } from 'node:timers/promises'
import { promisify } from 'node:util'
import { constants, deflateRaw } from 'node:zlib'
import type { Bus } from '../../bus/bus.ts'
import { positionKey } from '../../bus/cursor.ts'
import type { StoredEvent } from '../../bus/driver.ts'
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

/**
 * Server-sent events with the `event:` line or without it, so that a browser calls `onmessage`; messages of a WebSocket, plain or, if that
 * pays, compressed.
 */
export type FrameFormat = 'event' | 'message' | 'socket' | 'deflated'

/** An event as one client gets it. `cursor`: the text for the client. */
export interface FrameRequest extends StoredEvent {
  readonly cursor: string
  readonly format: FrameFormat
}

interface FrameOptions {
  key: string
  bytes: Buffer
  isCompressed: boolean
  onUse: (frame: Frame, inUse: boolean) => void
}

/** The encoded bytes of an event. They count against the limit while they are retained. */
export class Frame {
  readonly key: string
  readonly bytes: Buffer
  readonly isCompressed: boolean
  readonly #onUse: (frame: Frame, inUse: boolean) => void
  #users = 0

  constructor({ key, bytes, isCompressed, onUse }: FrameOptions) {
    this.key = key
    this.bytes = bytes
    this.isCompressed = isCompressed
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
  /** The JSON of the last event: it is encoded once for all formats and cursors. */
  #last: { readonly key: string; readonly json: string } | undefined
  #idleBytes = 0
  #bytes = 0
  #building: Promise<unknown> = Promise.resolve()

  /** `disconnectSlowest` returns false if there is no client to disconnect. */
  constructor(bus: Bus, maxBufferedBytes: number, disconnectSlowest: () => boolean) {
    this.#bus = bus
    this.#maxBufferedBytes = maxBufferedBytes
    this.#disconnectSlowest = disconnectSlowest
  }

  /** The frame of an event, which the caller releases. */
  async hold(request: FrameRequest): Promise<{ frame: Frame; release: () => void }> {
    const frame = await (hasBlobData(request.event) ? this.#loadOnce(request) : this.#build(request, request.event))
    return { frame, release: frame.retain() }
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
    this.#last = undefined
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
    const isEncoded = this.#last?.key === positionKey(request.position)
    const event = isEncoded ? request.event : await this.#bus.resolveIfStored(request.event)
    const frame = await this.#build(request, event)
    this.#cached.set(frame.key, frame)
    return frame
  }

  /** `event`: with its data. */
  async #build(request: FrameRequest, event: CloudEvent): Promise<Frame> {
    const key = positionKey(request.position)
    if (this.#last?.key !== key) this.#last = { key, json: JSON.stringify(withoutStacks(event)) }
    const plain = Buffer.from(frameText(request, this.#last.json))
    const isCompressed = request.format === 'deflated' && plain.length >= minCompressedBytes
    const bytes = isCompressed ? await deflate(plain) : plain
    this.#evictFor(bytes.length)
    const onUse = (frame: Frame, inUse: boolean) => (inUse ? this.#onFirstUse(frame) : this.#onLastRelease(frame))
    return new Frame({ key: frameKey(request), bytes, isCompressed, onUse })
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
const frameKey = ({ cursor, format, position }: FrameRequest) => `${positionKey(position)} ${format} ${cursor}`

function frameText({ cursor, format, event }: FrameRequest, json: string): string {
  if (format === 'socket' || format === 'deflated') return `{"cursor":"${cursor}","event":${json}}`
  return `${format === 'event' ? `event: ${event.type}\n` : ''}id: ${cursor}\ndata: ${json}\n\n`
}

const encodedSignals = new WeakMap<CloudEvent, Map<boolean, Buffer>>()

/** A signal, which has no cursor. All clients share its bytes. */
export function signalBytes(event: CloudEvent, format: FrameFormat): Buffer {
  const isSocket = format === 'socket' || format === 'deflated'
  const encoded = encodedSignals.get(event) ?? new Map<boolean, Buffer>()
  encodedSignals.set(event, encoded)
  let bytes = encoded.get(isSocket)
  if (!bytes) {
    const json = JSON.stringify(event)
    encoded.set(isSocket, (bytes = Buffer.from(isSocket ? `{"signal":${json}}` : `event: signal\ndata: ${json}\n\n`)))
  }
  return bytes
}

const minCompressedBytes = 1_024
/** What a flush ends with, which a message leaves out. Source: RFC 7692, section 7.2.1. */
const flushTailBytes = 4
const deflateText = promisify(deflateRaw)

async function deflate(text: Buffer): Promise<Buffer> {
  const bytes = await deflateText(text, { finishFlush: constants.Z_SYNC_FLUSH })
  return bytes.subarray(0, bytes.length - flushTailBytes)
}

/** Clients do not see where in the source code an error was thrown. */
function withoutStacks(event: CloudEvent): CloudEvent {
  if (event.type === turnType) {
    const turn = event.data as Turn | null
    return turn?.inputs ? { ...event, data: { ...turn, inputs: turn.inputs.map(withoutStacks) } } : event
  }
  const data = withoutStack(event.data)
  return data === event.data ? event : { ...event, data }
}
