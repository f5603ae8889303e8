import { notOnLog } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import type { Bus } from '../bus/bus.ts'
import { correlationOf, turnId } from '../bus/ids.ts'
import type { RecordedTurn, Turn } from '../tasks/program.ts'
import { turnType } from '../tasks/turn.ts'

/** The turns of one task that are still on the log, with the events that they emitted. */
export class RecordedJournal {
  readonly #bus: Bus
  readonly task: string
  readonly #turns = new Map<number, Turn>()
  readonly #events = new Map<string, CloudEvent>()

  private constructor(bus: Bus, task: string) {
    this.#bus = bus
    this.task = task
  }

  /** @throws E_NOT_FOUND if the log has no turn of the task */
  static async read(bus: Bus, task: string): Promise<RecordedJournal> {
    const journal = new RecordedJournal(bus, task)
    for await (const { event } of bus.read({ task }))
      if (event.type === turnType) {
        const turn = (await bus.resolve(event)).data as Turn
        journal.#turns.set(turn.version, turn)
      } else journal.#events.set(event.id, event)
    if (journal.#turns.size === 0) throw notOnLog(`no turn of task ${task} is on the log`)
    return journal
  }

  get newest(): Turn {
    return this.#turns.get(Math.max(...this.#turns.keys()))!
  }

  get isWhole(): boolean {
    return this.#turns.has(1)
  }

  /** The turn with the data of its inputs and emitted events. @throws E_NOT_FOUND, E_BLOB_MISSING */
  async turn(version: number): Promise<RecordedTurn> {
    const turn = this.#turns.get(version)
    if (!turn) throw gone(turnId(this.task, version))
    const [inputs, emitted] = await Promise.all([
      Promise.all(turn.inputs.map(input => this.#bus.resolve(input))),
      Promise.all(turn.emits.map(({ id }) => this.#emitted(id))),
    ])
    return { turn: { ...turn, inputs }, emitted }
  }

  async #emitted(id: string): Promise<CloudEvent> {
    const event = this.#events.get(id) ?? (await this.#bus.get(id, correlationOf(id)))
    if (!event) throw gone(id)
    return this.#bus.resolve(event)
  }
}

const gone = (id: string) => notOnLog(`${id} is no longer on the log`)
