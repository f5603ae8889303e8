import { setImmediate, setTimeout } from 'node:timers/promises'
import type { LogEntry } from '../../bus/driver.ts'
import type { CloudEvent } from '../../event.ts'
import { ClientIndex } from './client-index.ts'
import type { Frame, FrameCache } from './frames.ts'
import type { StreamClient } from './stream-client.ts'

/** How long one event is sent to clients before the event loop may do other work. */
const maxHeldMs = 4

/** One reading of the log, and the clients that it serves. */
export class Broadcast {
  readonly #frames: FrameCache
  readonly #maxQueuedBytes: number | undefined
  readonly #isPatient: boolean
  readonly #clients = new Map<StreamClient, () => void>()
  readonly #index = new ClientIndex()

  /**
   * `maxQueuedBytes`: a client with more than this leaves; default: as the client itself has it. `isPatient`: leaves half of the time to others
   * when there is much to send.
   */
  constructor(frames: FrameCache, { maxQueuedBytes, isPatient }: { maxQueuedBytes?: number; isPatient: boolean }) {
    this.#frames = frames
    this.#isPatient = isPatient
    this.#maxQueuedBytes = maxQueuedBytes
  }

  get clients(): ReadonlyMap<StreamClient, unknown> {
    return this.#clients
  }

  /** Resolves when the client leaves: because it disconnects, falls behind, or is removed. */
  add(client: StreamClient): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#clients.set(client, resolve)
    this.#index.add(client)
    const leave = () => this.remove(client)
    if (client.closed.aborted) leave()
    else client.closed.addEventListener('abort', leave, { once: true })
    return promise.finally(() => client.closed.removeEventListener('abort', leave))
  }

  remove(client: StreamClient): void {
    const onLeft = this.#clients.get(client)
    if (!onLeft) return
    this.#clients.delete(client)
    this.#index.delete(client)
    onLeft()
  }

  /**
   * Sends an event to all clients that want it. A client that it cannot be sent to leaves, and finds it on the log. Must be called in the
   * order of each correlation.
   */
  async deliver(entry: LogEntry): Promise<void> {
    this.#index.link(entry.event, await this.#frames.feederOf(entry))
    const wanting = [...this.#index.find(entry.event)].filter(client => client.wants(entry))
    if (wanting.length > 0) await this.#sendTo(wanting, entry)
  }

  /** Sends to one client what others got before it came. False if it left meanwhile. */
  async deliverTo(client: StreamClient, entries: readonly LogEntry[]): Promise<boolean> {
    for (const entry of entries) {
      this.#index.link(entry.event, await this.#frames.feederOf(entry))
      if (client.wants(entry)) await this.#sendTo([client], entry)
      if (!this.#clients.has(client)) return false
    }
    return true
  }

  async #sendTo(clients: readonly StreamClient[], entry: LogEntry): Promise<void> {
    const held = new Map<string, { frame: Frame; release: () => void }>()
    let begun = performance.now()
    try {
      for (const client of clients) {
        const cursor = client.cursorAfter(entry)
        const key = `${client.format} ${cursor}`
        let found = held.get(key)
        if (!found) held.set(key, (found = await this.#frames.hold({ ...entry, cursor, format: client.format })))
        if (!this.#clients.has(client)) continue
        if (!client.trySend(entry, found.frame, this.#maxQueuedBytes)) this.remove(client)
        if (performance.now() - begun < maxHeldMs) continue
        await (this.#isPatient ? setTimeout(maxHeldMs) : setImmediate())
        begun = performance.now()
      }
    } catch (error) {
      for (const client of clients) if (client.wants(entry)) this.remove(client)
      throw error
    } finally {
      for (const { release } of held.values()) release()
    }
  }

  sendSignal(event: CloudEvent): void {
    for (const client of this.#index.find(event)) if (client.scope.includes(event)) client.sendSignal(event)
  }
}
