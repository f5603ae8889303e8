import { setImmediate } from 'node:timers/promises'
import type { Bus } from '../../bus/bus.ts'
import { keepFollowing } from '../../bus/keep-following.ts'
import { coversAll, unionOf } from '../../bus/cursor.ts'
import type { Cursor, LogEntry } from '../../bus/driver.ts'
import { type StreamClient, signalFrame } from './stream-client.ts'
import type { Frame, FrameCache } from './frames.ts'

// Signals between workers, which clients do not get.
const internalSignals = new Set(['pauses.changed', 'circuits.changed', 'call.cancelled'])

/** Written to clients before the event loop may do other work. */
const yieldAfterBytes = 4 * 1024 * 1024
/** The fixed cost of a write, expressed in bytes. */
const writeOverheadBytes = 8 * 1024

interface Reader {
  cursor: Cursor
  readonly abort: AbortController
}

/**
 * The shared reader of the log. It sends each new event to all clients that have caught up, and pauses while there is none.
 */
export class Fanout {
  readonly #bus: Bus
  readonly #frames: FrameCache
  readonly #clients = new Map<StreamClient, () => void>()
  readonly #unsubscribe: () => void
  #reader: Reader | undefined

  constructor(bus: Bus, frames: FrameCache) {
    this.#bus = bus
    this.#frames = frames
    this.#unsubscribe = bus.onSignal([{ types: ['>'] }], event => {
      if (this.#clients.size === 0 || internalSignals.has(event.type)) return
      const frame = signalFrame(event)
      for (const client of this.#clients.keys()) client.sendSignal(event, frame)
    })
  }

  /** Where the reader is; undefined while it pauses. */
  get cursor(): Cursor | undefined {
    return this.#reader?.cursor
  }

  /**
   * Adds a client that has seen all that the reader has; undefined if it has not. The promise resolves when the
   * client disconnects or falls behind.
   */
  attach(client: StreamClient): Promise<void> | undefined {
    this.#reader ??= this.#start(client.cursor)
    if (!coversAll(client.cursor, this.#reader.cursor)) return undefined
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#clients.set(client, resolve)
    const leave = () => this.#detach(client)
    if (client.closed.aborted) leave()
    else client.closed.addEventListener('abort', leave, { once: true })
    return promise.finally(() => client.closed.removeEventListener('abort', leave))
  }

  close() {
    this.#reader?.abort.abort()
    this.#reader = undefined
    this.#unsubscribe()
  }

  #detach(client: StreamClient) {
    this.#clients.get(client)?.()
    this.#clients.delete(client)
    if (this.#clients.size > 0) return
    this.#reader?.abort.abort()
    this.#reader = undefined
  }

  #start(cursor: Cursor): Reader {
    const reader = { cursor, abort: new AbortController() }
    void this.#read(reader)
    return reader
  }

  async #read(reader: Reader): Promise<void> {
    // Clients stay connected while the log cannot be read.
    await keepFollowing(this.#bus, {
      cursor: () => reader.cursor,
      signal: reader.abort.signal,
      onEntry: entry => this.#deliver(reader, entry),
    })
  }

  async #deliver(reader: Reader, entry: LogEntry): Promise<void> {
    const feeder = await this.#frames.feederOf(entry)
    const isWanted = [...this.#clients.keys()].some(client => client.wants(entry, feeder))
    if (!isWanted) reader.cursor = entry.cursor
    else
      await this.#frames.use(entry, async frame => {
        if (reader !== this.#reader) return
        // The cursor moves together with the list of clients: one that joins later has this event or reads it from the log.
        reader.cursor = entry.cursor
        await this.#send(entry, feeder, frame)
      })
  }

  async #send(entry: LogEntry, feeder: string | undefined, frame: Frame): Promise<void> {
    let written = 0
    const clients = [...this.#clients.keys()]
    for (const client of clients) {
      if (!this.#clients.has(client) || !client.wants(entry, feeder)) continue
      const hasRoom = coversAll(entry.cursor, client.cursor)
        ? client.trySend(entry, frame)
        : await this.#sendAhead(client, entry)
      if (!hasRoom) this.#detach(client)
      written += Math.min(frame.bytes.length, yieldAfterBytes) + writeOverheadBytes
      if (written < yieldAfterBytes) continue
      written = 0
      await setImmediate()
    }
  }

  /** The client has seen events of other partitions that the reader has not, so that the id of its frame must cover more. */
  #sendAhead(client: StreamClient, entry: LogEntry): Promise<boolean> {
    const own = { ...entry, cursor: unionOf(entry.cursor, client.cursor) }
    return this.#frames.use(own, frame => !this.#clients.has(client) || client.trySend(own, frame))
  }
}
