import type { Bus } from '../bus/bus.ts'
import type { CloudEvent } from '../event.ts'
import { cacheEntry, replayId, type EffectPolicies } from './effects.ts'
import type { Fork } from './fork.ts'

// A history may be as large as an event may be.
const maxHistories = 16

/** What forked tasks had seen and said before the fork, by its ids. It may be gone from the log, or have been edited since. */
export class ForkHistory {
  readonly #bus: Bus
  readonly #replays: EffectPolicies
  readonly #histories = new Map<string, ReadonlyMap<string, CloudEvent>>()

  constructor(bus: Bus, replays: EffectPolicies) {
    this.#bus = bus
    this.#replays = replays
  }

  /** The event of this id as a task with this mark knows it; undefined for what is no part of a fork. */
  async find(mark: string, id: string): Promise<CloudEvent | undefined> {
    const past = this.#histories.get(mark) ?? cacheEntry(this.#histories, mark, await this.#read(mark), maxHistories)
    return past.get(id)
  }

  async #read(mark: string): Promise<ReadonlyMap<string, CloudEvent>> {
    const terms = await this.#replays.get(mark)
    const event = terms && 'task' in terms.of ? await this.#bus.get(mark, replayId(mark)) : undefined
    if (!event) return new Map()
    const { start, turns, inputs } = (await this.#bus.resolve(event)).data as Fork
    const seen = [start, ...turns.flatMap(({ turn, emitted }) => [...turn.inputs, ...emitted]), ...inputs]
    return new Map(seen.map(each => [each.id, each]))
  }
}
