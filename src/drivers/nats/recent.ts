import type { Position, StoredEvent } from '../../bus/driver.ts'
import type { CloudEvent } from '../../event.ts'

const kept = 2_048

/**
 * What this process published or was handed lately: a conversation asks for it again in the next moment. Nothing is kept
 * before anybody asks.
 */
export class Recent {
  /** Texts: each caller gets an event of its own. */
  readonly #events = new Map<string, { readonly position: Position; readonly json: string }>()
  #isAsked = false

  add(position: Position, id: string, json: string): void {
    if (!this.#isAsked) return
    this.#events.set(id, { position, json })
    if (this.#events.size > kept) this.#events.delete(this.#events.keys().next().value!)
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
