import type { Bus } from '../bus/bus.ts'
import type { CloudEvent } from '../event.ts'
import { cacheEntry, replayId, type EffectPolicies } from './effects.ts'
import type { Fork } from './fork.ts'

// A history may be as large as the largest event.
const maxHistories = 16

/** The inputs and emitted events of forked tasks before the fork, by id. The log may no longer have them, or have other versions. */
export class ForkHistory {
  readonly #bus: Bus
  readonly #replays: EffectPolicies
  readonly #histories = new Map<string, ReadonlyMap<string, CloudEvent>>()

  constructor(bus: Bus, replays: EffectPolicies) {
    this.#bus = bus
    this.#replays = replays
  }

  async find(replay: string, id: string): Promise<CloudEvent | undefined> {
    const history =
      this.#histories.get(replay) ?? cacheEntry(this.#histories, replay, await this.#read(replay), maxHistories)
    return history.get(id)
  }

  async #read(replay: string): Promise<ReadonlyMap<string, CloudEvent>> {
    const policy = await this.#replays.get(replay)
    const event = policy && 'task' in policy.of ? await this.#bus.get(replay, replayId(replay)) : undefined
    if (!event) return new Map()
    const { start, turns, inputs } = (await this.#bus.resolve(event)).data as Fork
    const seen = [start, ...turns.flatMap(({ turn, emitted }) => [...turn.inputs, ...emitted]), ...inputs]
    return new Map(seen.map(each => [each.id, each]))
  }
}
