import type { Bus } from '../bus/bus.ts'
import type { DeliveryOutcome } from '../bus/driver.ts'
import { correlationOf } from '../bus/ids.ts'
import type { SharedDelivery, TaskInput } from './inbox.ts'
import { readNewestTurns } from './newest-turns.ts'
import { outcomeForError } from './rules.ts'

/** The name under which offering an event acknowledges its delivery. */
export const offerRecipient = 'offer'

/** Offers events to the running tasks of their correlation that may wait for them, in the order of delivery. Each task decides for itself. */
export class EventOffers {
  readonly #bus: Bus
  readonly #enqueue: (task: string, input: TaskInput) => void
  #last = Promise.resolve()

  constructor(bus: Bus, enqueue: (task: string, input: TaskInput) => void) {
    this.#bus = bus
    this.#enqueue = enqueue
  }

  /** `programs`: those that declare the type. `here`: tasks in memory, which may have no turn on the log yet. */
  offer(shared: SharedDelivery, programs: ReadonlySet<string>, here: Iterable<string>): void {
    const { correlationid } = shared.delivery.event
    const tasks = [...here].filter(task => correlationOf(task) === correlationid)
    this.#last = this.#last.then(() => this.#offer(shared, programs, tasks))
  }

  /** Never throws. */
  async #offer(shared: SharedDelivery, programs: ReadonlySet<string>, here: readonly string[]): Promise<void> {
    const { event } = shared.delivery
    let outcome: DeliveryOutcome = { kind: 'done' }
    try {
      const turns = await readNewestTurns(this.#bus, event.correlationid)
      const running = [...turns].filter(([, turn]) => turn.end === undefined && programs.has(turn.program))
      for (const task of [...here, ...running.map(([task]) => task)])
        if (shared.add(task)) this.#enqueue(task, { event, isOffered: true, shared })
    } catch (error) {
      outcome = outcomeForError(error, offerRecipient, shared.delivery)
    }
    shared.acknowledge(offerRecipient, outcome)
  }
}
