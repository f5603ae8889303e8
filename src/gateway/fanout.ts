import { setImmediate, setTimeout } from 'node:timers/promises'
import type { Bus } from '../bus/bus.ts'
import { backoff } from '../bus/delivery.ts'
import type { Position, StoredEvent } from '../bus/driver.ts'
import { type StreamClient, signalFrame } from './stream-client.ts'
import type { Frame, FrameCache } from './frames.ts'

// What the runtime signals to itself.
const internal = new Set(['pauses.changed', 'circuits.changed', 'call.cancelled'])

/** Written to clients before others have their turn, in bytes. */
const stretch = 4 * 1024 * 1024
/** What a write costs beside its bytes, in bytes. */
const writeCost = 8 * 1024

interface Reader {
  position: Position
  readonly abort: AbortController
}

/**
 * The one reader of the log: hands every new event to all clients that have caught up with it. It reads while there is
 * such a client.
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
      if (this.#clients.size === 0 || internal.has(event.type)) return
      const frame = signalFrame(event)
      for (const client of this.#clients.keys()) client.sendSignal(event, frame)
    })
  }

  /** How far the reader is; undefined while it rests. */
  get position(): Position | undefined {
    return this.#reader?.position
  }

  /**
   * Takes a client that has everything up to where the reader is; undefined when the reader is further. The promise
   * resolves when the client has left or cannot keep up.
   */
  attach(client: StreamClient): Promise<void> | undefined {
    this.#reader ??= this.#start(client.position)
    if (client.position < this.#reader.position) return undefined
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

  #start(position: Position): Reader {
    const reader = { position, abort: new AbortController() }
    void this.#read(reader)
    return reader
  }

  async #read(reader: Reader): Promise<void> {
    const { signal } = reader.abort
    for (let failures = 0; !signal.aborted; ) {
      try {
        for await (const stored of this.#bus.follow(reader.position, undefined, signal)) {
          await this.#hand(reader, stored)
          failures = 0
        }
      } catch {
        // The log cannot be read now; those who listen wait for it.
        await setTimeout(backoff(++failures), undefined, { signal, ref: false }).catch(() => {})
      }
    }
  }

  async #hand(reader: Reader, stored: StoredEvent): Promise<void> {
    const feeder = await this.#frames.feederOf(stored)
    const isWanted = [...this.#clients.keys()].some(client => client.wants(stored, feeder))
    if (!isWanted) reader.position = stored.position
    else
      await this.#frames.use(stored, async frame => {
        if (reader !== this.#reader) return
        // In one go with the position, and with a fresh look at who is there: a client may have come meanwhile. Whoever comes
        // from now on has this event already, or reads it from the log.
        reader.position = stored.position
        await this.#send(stored, feeder, frame)
      })
  }

  async #send(stored: StoredEvent, feeder: string | undefined, frame: Frame): Promise<void> {
    let written = 0
    const clients = [...this.#clients.keys()]
    for (const client of clients) {
      if (!this.#clients.has(client) || !client.wants(stored, feeder)) continue
      if (!client.trySend(stored, frame)) this.#detach(client)
      written += Math.min(frame.bytes.length, stretch) + writeCost
      if (written < stretch) continue
      written = 0
      await setImmediate()
    }
  }
}
