import { setTimeout } from 'node:timers/promises'
import type { Bus } from '../bus/bus.ts'
import { backoff } from '../bus/delivery.ts'
import type { Position, Stored } from '../bus/driver.ts'
import { feederOf } from '../tasks/links.ts'
import { type Client, eventFrame, signalFrame } from './client.ts'

// What the runtime signals to itself.
const internal = new Set(['pauses.changed', 'call.cancelled'])

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
  readonly #clients = new Map<Client, () => void>()
  readonly #unsubscribe: () => void
  #reader: Reader | undefined

  constructor(bus: Bus) {
    this.#bus = bus
    this.#unsubscribe = bus.onSignal([{ types: ['>'] }], event => {
      if (this.#clients.size === 0 || internal.has(event.type)) return
      const frame = signalFrame(event)
      for (const client of this.#clients.keys()) client.hear(event, frame)
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
  attach(client: Client): Promise<void> | undefined {
    this.#reader ??= this.#start(client.position)
    if (client.position < this.#reader.position) return undefined
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#clients.set(client, resolve)
    const leave = () => this.#detach(client)
    if (client.gone.aborted) leave()
    else client.gone.addEventListener('abort', leave, { once: true })
    return promise.finally(() => client.gone.removeEventListener('abort', leave))
  }

  close() {
    this.#reader?.abort.abort()
    this.#reader = undefined
    this.#unsubscribe()
  }

  #detach(client: Client) {
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

  async #hand(reader: Reader, stored: Stored): Promise<void> {
    const feeder = await feederOf(this.#bus, stored.event)
    const wanted = [...this.#clients.keys()].some(client => client.wants(stored, feeder))
    const frame = wanted && (await eventFrame(this.#bus, stored))
    if (reader !== this.#reader) return
    reader.position = stored.position
    // In one go with the position, and with a fresh look at who is there: a client may have come meanwhile.
    if (!frame) return
    for (const client of this.#clients.keys())
      if (client.wants(stored, feeder) && !client.push(stored, frame)) this.#detach(client)
  }
}
