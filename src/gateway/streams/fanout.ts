import { setTimeout } from 'node:timers/promises'
import type { Bus } from '../../bus/bus.ts'
import { coversAll, isCovered, unionOf } from '../../bus/cursor.ts'
import type { Cursor, LogEntry } from '../../bus/driver.ts'
import { keepFollowing } from '../../bus/keep-following.ts'
import type { CloudEvent } from '../../event.ts'
import { openTexts, type OpenTexts } from '../../tasks/open-texts.ts'
import { presenceQuestionType, presenceType } from '../../tasks/presence.ts'
import { textDeltaType, textRequestType } from '../../tasks/text-delta.ts'
import { Broadcast } from './broadcast.ts'
import type { FrameCache } from './frames.ts'
import type { StreamClient } from './stream-client.ts'

// Signals between workers, which clients do not get, and text in flight, which they get without gaps.
const internalSignals = new Set([
  'pauses.changed',
  'circuits.changed',
  'call.cancelled',
  presenceQuestionType,
  presenceType,
  textRequestType,
  textDeltaType,
])

/** A client that lacks at most this many of the newest events need not read the log. */
const maxRecent = 1_024
const headRetryMs = 1_000

interface Reader {
  /** Where it is. */
  cursor: Cursor
  /** Everything that this covers was sent to the clients. */
  sent: Cursor
  /** What was read after this cursor. */
  recentAfter: Cursor
  recent: LogEntry[]
  readonly abort: AbortController
}

/** Gets every event that is read, in the order of each correlation. */
export type OnLogEvent = (event: CloudEvent) => void

/** Tells a client that a purge has removed events before they were sent. */
export type OnLack = (client: StreamClient, horizon: Cursor) => void

interface FanoutOptions {
  readonly bus: Bus
  readonly frames: FrameCache
  /** See {@link Broadcast}. */
  readonly isPatient: boolean
  readonly onLack: OnLack
}

/** The shared reader of the log. It sends each new event to all clients that have caught up, and pauses while nobody reads or watches. */
export class Fanout {
  readonly #bus: Bus
  readonly #frames: FrameCache
  readonly #broadcast: Broadcast
  readonly #onLack: OnLack
  readonly #texts: OpenTexts
  readonly #unsubscribe: () => void
  readonly #watchers = new Set<OnLogEvent>()
  #reader: Reader | undefined

  constructor({ bus, frames, isPatient, onLack }: FanoutOptions) {
    this.#bus = bus
    this.#frames = frames
    this.#broadcast = new Broadcast(frames, { isPatient })
    this.#onLack = onLack
    this.#texts = openTexts(bus)
    this.#unsubscribe = bus.onSignal([{ types: ['>'] }], event => {
      if (this.#broadcast.clients.size > 0 && !internalSignals.has(event.type)) this.#broadcast.sendSignal(event)
    })
  }

  /** Where the reader is; undefined while it pauses. */
  get cursor(): Cursor | undefined {
    return this.#reader?.cursor
  }

  /** Everything that this covers was sent to a client, or is not for it; undefined for a client that has not caught up. */
  sentTo(client: StreamClient): Cursor | undefined {
    return this.#broadcast.isSettled(client) ? this.#reader?.sent : undefined
  }

  /**
   * Serves a client that has seen nearly all that the reader has, until it disconnects or falls behind. False at once if it has seen less.
   */
  async serve(client: StreamClient): Promise<boolean> {
    const reader = (this.#reader ??= this.#start(client.cursor))
    for (;;) {
      if (reader !== this.#reader || !coversAll(client.cursor, reader.recentAfter)) return false
      const missed = reader.recent.filter(({ position }) => !isCovered(client.cursor, position))
      if (missed.length === 0) break
      if (!(await this.#sendMissed(client, missed))) return true
    }
    client.advance(reader.cursor)
    const left = this.#broadcast.add(client)
    client.readTexts(this.#texts)
    await left
    this.#pauseIfIdle()
    return true
  }

  /** Calls back for each event from now on, until the function that it returns is called. */
  watch(onEvent: OnLogEvent): () => void {
    this.#watchers.add(onEvent)
    void this.#startForWatchers()
    return () => {
      this.#watchers.delete(onEvent)
      this.#pauseIfIdle()
    }
  }

  async #startForWatchers(): Promise<void> {
    while (this.#watchers.size > 0 && !this.#reader)
      try {
        const head = await this.#bus.head()
        if (this.#watchers.size > 0) this.#reader ??= this.#start(head)
      } catch {
        await setTimeout(headRetryMs, undefined, { ref: false })
      }
  }

  /** The log is a new one. */
  restart() {
    this.#stop()
    void this.#startForWatchers()
  }

  close() {
    this.#watchers.clear()
    this.#stop()
    this.#unsubscribe()
  }

  #pauseIfIdle() {
    if (this.#broadcast.clients.size === 0 && this.#watchers.size === 0) this.#stop()
  }

  #stop() {
    this.#reader?.abort.abort()
    this.#reader = undefined
  }

  /** What others got before the client came. False if it cannot take all of it now. */
  async #sendMissed(client: StreamClient, entries: readonly LogEntry[]): Promise<boolean> {
    const own = new Broadcast(this.#frames, { isPatient: true })
    void own.add(client)
    for (const entry of entries) await own.deliver(entry)
    await own.settled()
    if (!own.clients.has(client)) return false
    own.remove(client)
    client.advance(entries.at(-1)!.cursor)
    return true
  }

  #start(cursor: Cursor): Reader {
    const reader = { cursor, sent: cursor, recentAfter: cursor, recent: [], abort: new AbortController() }
    // Clients stay connected while the log cannot be read.
    void keepFollowing(this.#bus, {
      cursor: async () => {
        await this.#skipPurged(reader)
        return reader.cursor
      },
      signal: reader.abort.signal,
      onEntry: entry => this.#deliver(reader, entry),
    })
    return reader
  }

  async #deliver(reader: Reader, entry: LogEntry): Promise<void> {
    if (reader !== this.#reader) return
    const { partition, offset } = entry.position
    // Offsets have gaps, but a purge may be one of them.
    if (!isCovered(reader.cursor, { partition, offset: offset - 1 })) await this.#skipPurged(reader)
    reader.cursor = unionOf(reader.cursor, entry.cursor)
    this.#remember(reader, entry)
    // The answer has the text that a slow client still lacks.
    if (entry.event.call !== undefined) this.#texts.end(entry.event.call)
    for (const onEvent of this.#watchers) onEvent(entry.event)
    await this.#broadcast.deliver(entry)
    reader.sent = reader.cursor
  }

  /** The log was purged faster than the reader read it. */
  async #skipPurged(reader: Reader): Promise<void> {
    const horizon = await this.#bus.horizon()
    if (coversAll(reader.cursor, horizon)) return
    for (const client of this.#broadcast.clients.keys())
      if (client.lacks(horizon, reader.cursor)) {
        this.#onLack(client, horizon)
        this.#broadcast.remove(client)
      }
    Object.assign(reader, { cursor: unionOf(reader.cursor, horizon), recentAfter: horizon, recent: [] })
    reader.sent = reader.cursor
  }

  #remember(reader: Reader, entry: LogEntry) {
    reader.recent.push(entry)
    if (reader.recent.length < 2 * maxRecent) return
    const dropped = reader.recent.splice(0, maxRecent)
    reader.recentAfter = unionOf(reader.recentAfter, dropped.at(-1)!.cursor)
  }
}
