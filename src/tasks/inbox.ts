import type { CloudEvent } from '../event.ts'
import type { Bus } from '../bus/bus.ts'
import { settle, type HandlerResult } from '../bus/delivery.ts'
import type { Delivery, DeliveryOutcome, EncodedEvent } from '../bus/driver.ts'
import { correlationOf } from '../bus/ids.ts'
import { reason } from '../bus/reason.ts'

/** A delivery that several tasks may receive. It is settled when the last of them has acknowledged it. */
export class SharedDelivery {
  readonly delivery: Delivery
  readonly #bus: Bus
  /** Tasks that have not acknowledged it yet. */
  readonly #recipients: Set<string>
  #outcome: DeliveryOutcome = { kind: 'done' }
  #events: readonly EncodedEvent[] = []

  constructor(bus: Bus, delivery: Delivery, recipients: readonly string[]) {
    this.#bus = bus
    this.delivery = delivery
    this.#recipients = new Set(recipients)
  }

  /** Whether one recipient is left, which may settle the delivery in its own transaction. */
  get isLast() {
    return this.#recipients.size === 1 && this.#outcome.kind === 'done'
  }

  /** Adds a task that shall receive it too. False if it receives it already. */
  add(task: string): boolean {
    if (this.#recipients.has(task)) return false
    this.#recipients.add(task)
    return true
  }

  reassign(task: string, other: string) {
    if (this.#recipients.delete(task)) this.#recipients.add(other)
  }

  /** `isSettled`: the commit of the task settled the delivery. Each task acknowledges once; later calls have no effect. */
  acknowledge(task: string, outcome: DeliveryOutcome = { kind: 'done' }, isSettled = false) {
    if (!this.#recipients.delete(task)) return
    // One refusal decides the outcome. For the other tasks the redelivered event has no effect.
    if (outcome.kind !== 'done') this.#outcome = outcome
    if (!isSettled && this.#recipients.size === 0) void this.#settle()
  }

  /** Acknowledges with the answer of a step. Resolves when the delivery is settled, if no other task still holds it. */
  async answer(task: string, { outcome, events = [] }: HandlerResult): Promise<void> {
    if (!this.#recipients.delete(task)) return
    if (outcome.kind !== 'done') this.#outcome = outcome
    this.#events = events
    if (this.#recipients.size === 0) await this.#settle()
  }

  #settle(): Promise<void> {
    return settle(this.#bus, this.delivery, this.#outcome, this.#events)
  }
}

/** An event that waits for the next turn of a task. */
export interface TaskInput {
  readonly event: CloudEvent
  /** The program that this event starts; undefined for an answer or a cancellation. */
  readonly program?: string
  /** The task receives it even if it has started already. */
  readonly joins?: true
  /** The task receives it if it may wait for it. */
  readonly isOffered?: true
  readonly shared: SharedDelivery
}

/** Maximum bytes of JSON in the inputs of one turn: a quarter of what its event may hold. */
const maxInputBytes = 1024 * 1024

/** The inputs of one task, in order of arrival, and whether a turn is being decided. */
export class TaskInbox {
  readonly task: string
  readonly queue: TaskInput[] = []
  busy = false
  woken = false
  conflicts = 0
  /** Another worker owns the shard now: the turn that is being decided is abandoned. */
  lost = false

  constructor(task: string) {
    this.task = task
  }

  /** Removes the inputs of one turn: the oldest ones that fit, at least one. */
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

  hasAnswer(call: string): boolean {
    return this.queue.some(({ event }) => event.call === call)
  }
}

/**
 * After a shard is lost, its new owner gets the deliveries that came from it. Deliveries from other shards, such as a cancellation
 * with its own correlation, are still held here and are returned for redelivery.
 */
export function returnForeignInputs({ task, queue }: TaskInbox): void {
  const moved = reason('E_TASK_MOVED', 'another worker owns the shard of this task')
  for (const { event, shared } of queue.splice(0))
    if (event.correlationid !== correlationOf(task))
      shared.acknowledge(task, { kind: 'retry', after: 200, reason: moved })
}
