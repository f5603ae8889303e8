import type { Position, Stored } from '../../bus/driver.ts'
import type { CloudEvent } from '../../event.ts'

const kept = 2_048

/**
 * What this process published or was handed lately: a conversation asks for it again in the next moment. Nothing is kept
 * before anybody asks.
 */
export class Recent {
  readonly #events = new Map<string, Stored>()
  #isAsked = false

  add(position: Position, event: CloudEvent): void {
    if (!this.#isAsked) return
    this.#events.set(event.id, { position, event })
    if (this.#events.size > kept) this.#events.delete(this.#events.keys().next().value!)
  }

  get(id: string): Stored | undefined {
    this.#isAsked = true
    return this.#events.get(id)
  }

  /** Events were purged, or the log is another one. */
  clear(): void {
    this.#events.clear()
  }
}
