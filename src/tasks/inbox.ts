import type { CloudEvent } from '../event.ts'
import type { Bus } from '../bus/bus.ts'
import { settle } from '../bus/delivery.ts'
import type { Delivery, DeliveryOutcome } from '../bus/driver.ts'
import { correlationOf } from '../bus/ids.ts'
import { reason } from '../bus/reason.ts'

/** A delivery that several tasks may take: it is settled when the last of them has. */
export class SharedDelivery {
  readonly delivery: Delivery
  readonly #bus: Bus
  /** Tasks that have not taken it yet. */
  readonly #recipients: Set<string>
  #outcome: DeliveryOutcome = { kind: 'done' }

  constructor(bus: Bus, delivery: Delivery, takers: readonly string[]) {
    this.#bus = bus
    this.delivery = delivery
    this.#recipients = new Set(takers)
  }

  /** Whether whoever takes now is the last, and may settle in its own transaction. */
  get isLast() {
    return this.#recipients.size === 1 && this.#outcome.kind === 'done'
  }

  /** Another task takes it in place of this one. */
  reassign(task: string, other: string) {
    if (this.#recipients.delete(task)) this.#recipients.add(other)
  }

  /** `settled`: the task's own transaction settled it. A task takes it once; what it says later does not count. */
  acknowledge(task: string, settled: boolean, outcome: DeliveryOutcome = { kind: 'done' }) {
    if (!this.#recipients.delete(task)) return
    // One taker's refusal stands: for the others the event is inert when it comes again.
    if (outcome.kind !== 'done') this.#outcome = outcome
    if (!settled && this.#recipients.size === 0) void settle(this.#bus, this.delivery, this.#outcome)
  }
}

/** What waits for a task's next turn. */
export interface TaskInput {
  readonly event: CloudEvent
  /** Of a start: the program to start. */
  readonly program?: string
  /** It goes to the task also when that has begun. */
  readonly joins?: true
  readonly shared: SharedDelivery
}

/** Most bytes of JSON that one turn takes: a quarter of what its event may hold. */
const maxInputBytes = 1024 * 1024

/** The inputs of one task, in order of arrival, and whether somebody is working on them. */
export class TaskInbox {
  readonly task: string
  readonly queue: TaskInput[] = []
  busy = false
  woken = false
  conflicts = 0
  /** The shard went to another owner: whatever is under way is abandoned. */
  lost = false

  constructor(task: string) {
    this.task = task
  }

  /** The inputs of one turn: those that came first, as many as it has room for, one in any case. The others wait. */
  takeBatch(): TaskInput[] {
    const { queue } = this
    if (queue.length < 2) return queue.splice(0)
    let count = 0
    for (let bytes = 0; count < queue.length; count++) {
      bytes += Buffer.byteLength(JSON.stringify(queue[count]!.event))
      if (bytes > maxInputBytes && count > 0) break
    }
    return queue.splice(0, count)
  }

  /** Whether the answer to a call waits for a later turn. */
  hasAnswer(call: string): boolean {
    return this.queue.some(({ event }) => event.call === call)
  }
}

/**
 * The shard of the task was lost, and with it the deliveries that came from it. One that came from another shard, as a
 * cancellation with a correlation of its own, is still in hand: nobody else gets it unless it is given back.
 */
export function returnForeignInputs({ task, queue }: TaskInbox): void {
  const outcome: DeliveryOutcome = {
    kind: 'retry',
    after: 200,
    reason: reason('E_TASK_MOVED', 'another worker owns the shard of this task'),
  }
  for (const { event, shared } of queue.splice(0))
    if (event.correlationid !== correlationOf(task)) shared.acknowledge(task, false, outcome)
}
