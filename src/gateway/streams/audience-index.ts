import type { CloudEvent } from '../../event.ts'
import type { Audience } from './audience.ts'
import { correlationKey, indexKeysOf } from './stream-scope.ts'

/** Finds the audiences that an event may concern without asking all of them. */
export class AudienceIndex {
  readonly #audiences = new Map<string, Set<Audience>>()

  add(audience: Audience): void {
    for (const key of audience.scope.keys) this.#addAs(key, audience)
  }

  delete(audience: Audience): void {
    for (const key of audience.scope.keys) {
      const audiences = this.#audiences.get(key)
      if (audiences?.delete(audience) && audiences.size === 0) this.#audiences.delete(key)
    }
  }

  /** Must be called in the order of each correlation. `feeder`: see `feederOf` in `tasks/links.ts`. */
  link(event: CloudEvent, feeder: string | undefined): void {
    if (feeder === undefined) return
    for (const audience of this.#audiences.get(correlationKey(feeder)) ?? [])
      if (audience.link(event, feeder)) this.#addAs(correlationKey(event.correlationid), audience)
  }

  /** Each audience is under one kind of key only, so none comes twice. */
  *find(event: CloudEvent): Generator<Audience> {
    for (const key of indexKeysOf(event)) yield* this.#audiences.get(key) ?? []
  }

  #addAs(key: string, audience: Audience): void {
    const audiences = this.#audiences.get(key)
    if (audiences) audiences.add(audience)
    else this.#audiences.set(key, new Set([audience]))
  }
}
