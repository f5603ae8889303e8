import { setImmediate, setTimeout } from 'node:timers/promises'
import { coversAll, positionKey, unionOf } from '../../bus/cursor.ts'
import type { LogEntry } from '../../bus/driver.ts'
import { hasBlobData } from '../../bus/routed.ts'
import type { CloudEvent } from '../../event.ts'
import { EventBatch, type Frame, type FrameCache, type HeldFrames } from './frames.ts'
import type { StreamClient } from './stream-client.ts'
import type { StreamScope } from './stream-scope.ts'

/** Events that come one after the other are sent together, at most this often. */
const sendIntervalMs = 5
/** Most events that are sent together. The reading of the log waits while as many are left. */
const maxBatch = 128
/** How long, and how much, is sent to clients before the event loop may do other work. Some writes go to the kernel only then. */
const maxHeldMs = 4
const maxHeldBytes = 2 * 1024 * 1024

export interface SendOptions {
  /** A client with more than this in its queue leaves; default: as the client itself has it. */
  readonly maxQueuedBytes?: number
  /** Leaves half of the time to others when there is much to send. */
  readonly isPatient: boolean
}

/**
 * Clients of one reading that are shown the same events. They share what they are sent: what comes while the last events are still sent to
 * many clients becomes one write for each of them.
 */
export class Audience {
  readonly scope: StreamScope
  readonly clients = new Set<StreamClient>()
  readonly #frames: FrameCache
  readonly #options: SendOptions
  readonly #onLeave: (client: StreamClient) => void
  #waiting: LogEntry[] = []
  #sending: Promise<void> | undefined
  #sentAt = -Infinity
  #failure: { readonly error: unknown } | undefined

  /** `onLeave`: the client cannot take more now, or the events cannot be read. It finds them on the log. */
  constructor(
    scope: StreamScope,
    frames: FrameCache,
    options: SendOptions & { readonly onLeave: (client: StreamClient) => void },
  ) {
    this.scope = scope
    this.#frames = frames
    this.#options = options
    this.#onLeave = options.onLeave
  }

  /** Whether all that it was given was sent. */
  get isSettled(): boolean {
    return this.#sending === undefined
  }

  /** Sends an event soon. Resolves when there is room for the next one. */
  async push(entry: LogEntry): Promise<void> {
    this.#waiting.push(entry)
    this.#sending ??= this.#sendWaiting()
    if (this.#waiting.length >= maxBatch) await this.#sending
  }

  /** Resolves when all was sent. @throws what was thrown when events could not be read; the clients that lack them have left */
  async settled(): Promise<void> {
    await this.#sending
    if (this.#failure) throw this.#failure.error
  }

  /** See {@link StreamScope.link}. */
  link(event: CloudEvent, feeder: string): boolean {
    if (!this.scope.link(event, feeder)) return false
    for (const client of this.clients) {
      client.scope.link(event, feeder)
      client.followTexts({ correlation: event.correlationid })
    }
    return true
  }

  async #sendWaiting(): Promise<void> {
    const waitMs = this.#sentAt + sendIntervalMs - performance.now()
    await (waitMs > 0 ? setTimeout(waitMs) : setImmediate())
    this.#sentAt = performance.now()
    while (this.#waiting.length > 0) {
      const batch = new EventBatch(this.#nextEntries())
      await this.#send(batch).catch((error: unknown) => {
        this.#failure = { error }
        for (const client of this.clients) if (batch.entries.some(entry => client.wants(entry))) this.#onLeave(client)
      })
    }
    this.#sending = undefined
  }

  /** One whose data is in a blob is alone. */
  #nextEntries(): LogEntry[] {
    const end = this.#waiting.findIndex(({ event }, i) => i === maxBatch || (i > 0 && hasBlobData(event)))
    const isLarge = hasBlobData(this.#waiting[0]!.event)
    return this.#waiting.splice(0, isLarge ? 1 : end < 0 ? this.#waiting.length : end)
  }

  async #send(batch: EventBatch): Promise<void> {
    const held = new HeldBatch(batch, this.#frames)
    let begun = performance.now()
    let bytes = 0
    try {
      for (const client of this.clients) {
        const frames = await held.framesFor(client)
        if (!this.clients.has(client)) continue
        const isSent = frames.length === 0 || client.trySend(frames, this.#options.maxQueuedBytes)
        if (isSent) client.advance(batch.entries.at(-1)!.cursor)
        else this.#onLeave(client)
        for (const frame of frames) bytes += frame.bytes
        if (bytes < maxHeldBytes && performance.now() - begun < maxHeldMs) continue
        await (this.#options.isPatient ? setTimeout(maxHeldMs) : setImmediate())
        begun = performance.now()
        bytes = 0
      }
    } finally {
      held.release()
    }
  }
}

/** What is sent of a batch, for all its clients. */
class HeldBatch {
  readonly #batch: EventBatch
  readonly #cache: FrameCache
  readonly #types: readonly string[]
  /** By what decides which events a client wants, and with which cursors. */
  readonly #byView = new Map<string, readonly Frame[]>()
  readonly #held = new Map<string, HeldFrames>()

  constructor(batch: EventBatch, cache: FrameCache) {
    this.#batch = batch
    this.#cache = cache
    this.#types = [...new Set(batch.entries.map(({ event }) => event.type))]
  }

  async framesFor(client: StreamClient): Promise<readonly Frame[]> {
    const hidden = this.#types.filter(type => !client.scope.mayRead(type))
    const view = `${client.format} ${client.cursor} ${hidden.join()}`
    const known = this.#byView.get(view)
    if (known) return known
    const entries = this.#batch.entries.filter(entry => client.wants(entry))
    const frames = entries.length === 0 ? [] : (await this.#hold(client, entries)).frames
    this.#byView.set(view, frames)
    return frames
  }

  release(): void {
    for (const { release } of this.#held.values()) release()
  }

  async #hold(client: StreamClient, entries: readonly LogEntry[]): Promise<HeldFrames> {
    const { format, cursor } = client
    // Only clients that were elsewhere before, where others are not yet, are named other places.
    const places = entries.every(entry => coversAll(entry.cursor, cursor)) ? '' : cursor
    const key = `${format} ${places} ${entries.map(({ position }) => positionKey(position)).join()}`
    let held = this.#held.get(key)
    if (!held) {
      const cursorAfter = (entry: LogEntry) => client.scope.textOf(unionOf(entry.cursor, cursor))
      const { asRows } = client.scope.request
      held = await this.#cache.hold({ batch: this.#batch, format, asRows, entries, cursorAfter })
      this.#held.set(key, held)
    }
    return held
  }
}
