import type { CloudEvent } from '../../event.ts'
import type { StreamClient } from './stream-client.ts'
import { correlationKey, indexKeysOf } from './stream-scope.ts'

/** Finds the clients that an event may concern without asking all of them. */
export class ClientIndex {
  readonly #clients = new Map<string, Set<StreamClient>>()

  add(client: StreamClient): void {
    for (const key of client.scope.keys) this.#addAs(key, client)
  }

  delete(client: StreamClient): void {
    for (const key of client.scope.keys) {
      const clients = this.#clients.get(key)
      if (clients?.delete(client) && clients.size === 0) this.#clients.delete(key)
    }
  }

  /** Must be called in the order of each correlation. `feeder`: see `feederOf` in `tasks/links.ts`. */
  link(event: CloudEvent, feeder: string | undefined): void {
    if (feeder === undefined) return
    for (const client of this.#clients.get(correlationKey(feeder)) ?? [])
      if (client.scope.link(event, feeder)) {
        this.#addAs(correlationKey(event.correlationid), client)
        client.followTexts({ correlation: event.correlationid })
      }
  }

  /** Each client is under one kind of key only, so none comes twice. */
  *find(event: CloudEvent): Generator<StreamClient> {
    for (const key of indexKeysOf(event)) yield* this.#clients.get(key) ?? []
  }

  #addAs(key: string, client: StreamClient): void {
    const clients = this.#clients.get(key)
    if (clients) clients.add(client)
    else this.#clients.set(key, new Set([client]))
  }
}
