import { setTimeout } from 'node:timers/promises'
import type { Bus } from '../bus/bus.ts'
import type { CloudEvent } from '../event.ts'

/*
 * Which workers run on a log. Nothing is stored, and nobody sends anything until somebody asks:
 *
 *     a gateway asks (workers.asked) ─▶ every worker answers (workers.present)
 *
 * A worker that was killed does not answer the next question, and is shown with the time of its last answer for a minute.
 */

/** A running worker, as it describes itself. */
export interface WorkerPresence {
  readonly id: string
  readonly app: string
  readonly host: string
  readonly pid: number
  /** Of Tidings. */
  readonly version: string
  /** What it hosts: agents and workflows, tools, models, triggers; a gateway by its address. */
  readonly hosts: readonly {
    readonly kind: 'agent' | 'tool' | 'model' | 'trigger' | 'gateway'
    readonly name: string
  }[]
  /** When it started, RFC 3339. */
  readonly since: string
}

/** A worker that has answered. */
export interface SeenWorker extends WorkerPresence {
  /** When it answered last, RFC 3339. */
  readonly seen: string
}

export const presenceQuestionType = 'workers.asked'
export const presenceType = 'workers.present'

/** How long workers have to answer. Signals take a few ms. */
const answerMs = 250
const keptMs = 60_000

/** Answers who asks for workers. Returns what ends it. */
export function answerPresence(bus: Bus, worker: WorkerPresence): () => void {
  return bus.onSignal([{ types: [presenceQuestionType] }], () => bus.signal({ type: presenceType, data: worker }))
}

/** Asks for the workers of a log. */
export class WorkerList {
  readonly #bus: Bus
  readonly #seen = new Map<string, SeenWorker>()
  /** The question at hand, which everyone who asks meanwhile shares. */
  #asking: Promise<void> | undefined

  constructor(bus: Bus) {
    this.#bus = bus
  }

  /** Those that answer, and those that did within the last minute; the longest running first. */
  async list(): Promise<SeenWorker[]> {
    await (this.#asking ??= this.#ask().finally(() => (this.#asking = undefined)))
    const oldest = this.#bus.now() - keptMs
    for (const [id, { seen }] of this.#seen) if (Date.parse(seen) < oldest) this.#seen.delete(id)
    return [...this.#seen.values()].toSorted((a, b) => (a.since < b.since ? -1 : 1))
  }

  async #ask(): Promise<void> {
    const end = this.#bus.onSignal([{ types: [presenceType] }], ({ data }: CloudEvent) => {
      const worker = data as WorkerPresence
      this.#seen.set(worker.id, { ...worker, seen: new Date(this.#bus.now()).toISOString() })
    })
    this.#bus.signal({ type: presenceQuestionType, data: null })
    await setTimeout(answerMs)
    end()
  }
}
