import { randomUUIDv7 } from 'node:crypto'
import type { Bus } from '../bus/bus.ts'
import { TidingsError } from '../errors.ts'
import type { Draft } from '../event.ts'

const maxWaiting = 10_000
const maxBatch = 200

/** Publishes what a strangler observes, in batches. While the log is away it keeps the newest, so that nothing on the request path waits. */
export class Reporter {
  #waiting: Draft[] = []
  #flushing: Promise<void> | undefined

  add(draft: Draft): void {
    this.#waiting.push({ ...draft, id: draft.id ?? randomUUIDv7() })
    if (this.#waiting.length > maxWaiting) this.#waiting.shift()
  }

  /** Publishes what waits. Never rejects: what the log does not take now is published with the next call, under the same ids. */
  flush(bus: Bus): Promise<void> {
    this.#flushing ??= this.#flush(bus).finally(() => (this.#flushing = undefined))
    return this.#flushing
  }

  async #flush(bus: Bus): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = new Set(this.#waiting.slice(0, maxBatch))
      if (!(await this.#publish(bus, [...batch]))) return
      this.#waiting = this.#waiting.filter(draft => !batch.has(draft))
    }
  }

  /** False if the log is away. A draft that it refuses is given up. */
  async #publish(bus: Bus, batch: readonly Draft[]): Promise<boolean> {
    try {
      await bus.publishAll(batch)
      return true
    } catch (error) {
      if (error instanceof TidingsError && error.retryable) return false
      if (batch.length > 1) for (const draft of batch) if (!(await this.#publish(bus, [draft]))) return false
      return true
    }
  }
}
