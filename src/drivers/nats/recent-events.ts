import type { Position, StoredEvent } from '../../bus/driver.ts'
import type { CloudEvent } from '../../event.ts'

const maxEvents = 2_048

/**
 * Events that this process published or received lately, because a conversation often reads them again at once. Nothing is
 * kept before the first read.
 */
export class RecentEvents {
  /** Texts: each caller gets an event of its own. */
  readonly #events = new Map<string, { readonly position: Position; readonly json: string }>()
  #isAsked = false

  add(position: Position, id: string, json: string): void {
    if (!this.#isAsked) return
    this.#events.set(id, { position, json })
    if (this.#events.size > maxEvents) this.#events.delete(this.#events.keys().next().value!)
  }

  get(id: string): StoredEvent | undefined {
    this.#isAsked = true
    const found = this.#events.get(id)
    return found && { position: found.position, event: JSON.parse(found.json) as CloudEvent }
  }

  /** Events were purged, or the log is another one. */
  clear(): void {
    this.#events.clear()
  }
}
