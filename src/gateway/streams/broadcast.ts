import type { LogEntry } from '../../bus/driver.ts'
import type { CloudEvent } from '../../event.ts'
import { Audience, type SendOptions } from './audience.ts'
import { AudienceIndex } from './audience-index.ts'
import type { FrameCache } from './frames.ts'
import type { StreamClient } from './stream-client.ts'

interface Member {
  readonly audience: Audience
  readonly onLeft: () => void
}

/** One reading of the log, and the clients that it serves. */
export class Broadcast {
  readonly #frames: FrameCache
  readonly #options: SendOptions
  readonly #clients = new Map<StreamClient, Member>()
  readonly #audiences = new Map<string, Audience>()
  readonly #index = new AudienceIndex()

  constructor(frames: FrameCache, options: SendOptions) {
    this.#frames = frames
    this.#options = options
  }

  get clients(): ReadonlyMap<StreamClient, unknown> {
    return this.#clients
  }

  /** Resolves when the client leaves: because it disconnects, falls behind, or is removed. */
  add(client: StreamClient): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const audience = this.#audienceOf(client)
    audience.clients.add(client)
    this.#clients.set(client, { audience, onLeft: resolve })
    const leave = () => this.remove(client)
    if (client.closed.aborted) leave()
    else client.closed.addEventListener('abort', leave, { once: true })
    return promise.finally(() => client.closed.removeEventListener('abort', leave))
  }

  remove(client: StreamClient): void {
    const member = this.#clients.get(client)
    if (!member) return
    const { audience, onLeft } = member
    this.#clients.delete(client)
    audience.clients.delete(client)
    if (audience.clients.size === 0) {
      this.#audiences.delete(audience.scope.audience)
      this.#index.delete(audience)
    }
    onLeft()
  }

  /**
   * Sends an event to all clients that want it, soon. A client that it cannot be sent to leaves, and finds it on the log. Must be called in
   * the order of each correlation. Resolves when there is room for the next event.
   */
  async deliver(entry: LogEntry): Promise<void> {
    const { event } = entry
    this.#index.link(event, await this.#frames.feederOf(entry))
    const shown = [...this.#index.find(event)].filter(({ scope }) => scope.shows(event))
    await Promise.all(shown.map(audience => audience.push(entry)))
  }

  /** Whether a client was sent all that was delivered. */
  isSettled(client: StreamClient): boolean {
    return this.#clients.get(client)?.audience.isSettled ?? false
  }

  /** Resolves when all that was delivered was sent. @throws what was thrown when events could not be read */
  async settled(): Promise<void> {
    await Promise.all(Array.from(this.#audiences.values(), audience => audience.settled()))
  }

  sendSignal(event: CloudEvent): void {
    for (const { scope, clients } of this.#index.find(event))
      if (scope.shows(event))
        for (const client of clients) if (client.scope.mayRead(event.type)) client.sendSignal(event)
  }

  #audienceOf({ scope }: StreamClient): Audience {
    let audience = this.#audiences.get(scope.audience)
    if (!audience) {
      audience = new Audience(scope, this.#frames, { ...this.#options, onLeave: client => this.remove(client) })
      this.#audiences.set(scope.audience, audience)
      this.#index.add(audience)
    }
    return audience
  }
}
