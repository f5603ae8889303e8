import type { CloudEvent } from '../event.ts'
import { textOf } from '../errors.ts'
import { compileFilter } from '../pattern.ts'
import type { Bus } from '../bus/bus.ts'
import { settledOrAborted } from '../bus/abort.ts'
import { settle } from '../bus/delivery.ts'
import type { Consumer, ConsumerGroup, Delivery } from '../bus/driver.ts'
import type { Pauses } from '../bus/pauses.ts'
import { correlationOf, shardOf } from '../bus/ids.ts'
import { log } from '../bus/telemetry/log.ts'
import type { Budget } from './budget.ts'
import { EventOffers, offerRecipient } from './event-offers.ts'
import { returnForeignInputs, TaskInbox, SharedDelivery, type TaskInput } from './inbox.ts'
import type { ProgramDefinition } from './program.ts'
import { Programs } from './programs.ts'
import { routeRecipient, forwardToInstances } from './routing.ts'
import { addresseeOf, filterOf, outcomeForError, unhandled, type classifyInput } from './rules.ts'
import { StepRunner } from './steps.ts'
import { TaskCache } from './task-cache.ts'
import { TaskDecider } from './task-decider.ts'

/*
 * The engine of one app in one process. It owns shards. It puts each delivery into the inboxes of the tasks that it concerns, and has one batch
 * of inputs for each task decided at a time:
 *
 *     delivery, wake-up ──▶ inbox of a task ──▶ TaskDecider ──▶ idle, or the next batch
 *
 * When a shard is lost, or the log cannot be written, everything of it is evicted, and the driver redelivers the inputs.
 */

export interface EngineOptions {
  bus: Bus
  /** Workers with the same group share the tasks. */
  group: string
  programs: readonly ProgramDefinition[]
  /** Maximum length of a chain of tasks that start each other. */
  maxHops: number
  budget: Budget
  pauses: Pauses
  /** Tasks kept in memory while they wait. */
  maxCachedTasks?: number
  /** Maximum number of unsettled deliveries. */
  maxInFlight?: number
  /** For tests: replaces {@link classifyInput}. */
  classifyInput?: typeof classifyInput
}

export class Engine {
  readonly #options: EngineOptions
  readonly #bus: Bus
  readonly #programs: Programs
  readonly #steps: StepRunner
  readonly #offers: EventOffers
  readonly #inboxes = new Map<string, TaskInbox>()
  readonly #cachedTasks: TaskCache
  readonly #decider: TaskDecider
  readonly #group: ConsumerGroup
  readonly #matches: (event: CloudEvent) => boolean
  #consumer: Consumer | undefined
  #working = 0
  #idle: (() => void) | undefined

  constructor(options: EngineOptions) {
    this.#options = options
    this.#bus = options.bus
    this.#programs = new Programs(options.programs)
    this.#steps = new StepRunner(options)
    this.#cachedTasks = new TaskCache(options.maxCachedTasks)
    const enqueue = (task: string, input: TaskInput) => this.#enqueue(task, input)
    this.#offers = new EventOffers(options.bus, enqueue)
    const parts = { programs: this.#programs, cachedTasks: this.#cachedTasks, steps: this.#steps }
    this.#decider = new TaskDecider({ ...options, parts, enqueue })
    const filter = filterOf(options.programs)
    this.#group = { group: options.group, filter, mode: 'sharded', from: 'now' }
    this.#matches = compileFilter(filter)
  }

  /** Creates the group without joining it, so that events published before the first worker starts are kept. */
  provision(): Promise<void> {
    return this.#bus.createGroup(this.#group)
  }

  async start(): Promise<void> {
    this.#steps.start()
    this.#consumer = await this.#bus.subscribe({
      ...this.#group,
      maxInFlight: this.#options.maxInFlight ?? 1_024,
      onDelivery: delivery => this.#deliver(delivery),
      onWake: task => this.#wake(task),
      onLost: shard => this.#forgetShard(shard),
    })
  }

  /** Takes no more inputs, waits for running turns and steps until `abort` fires, then gives the shards back. */
  async stop(abort?: AbortSignal): Promise<void> {
    this.#consumer?.pause()
    await this.#steps.drain(abort)
    if (this.#working > 0) await settledOrAborted(new Promise<void>(resolve => (this.#idle = resolve)), abort)
    for (const inbox of this.#inboxes.values()) inbox.lost = true
    this.#steps.abandon()
    await this.#consumer?.close()
  }

  #deliver(delivery: Delivery) {
    const { event } = delivery
    const task = this.#programs.has(event.target ?? '') ? addresseeOf(event) : undefined
    const starts = this.#programs.startsOf(event)
    const routed = this.#programs.routedTo(event)
    const awaiting = this.#programs.awaiting(event)
    const recipients = [
      ...(task === undefined ? [] : [task]),
      ...starts.map(each => each.task),
      ...routed.map(routeRecipient),
      ...(awaiting ? [offerRecipient] : []),
    ]
    // The filter matches it but no task wants it (the end of an agent's own task), or another version of this app asked for it.
    if (recipients.length === 0)
      return void settle(this.#bus, delivery, this.#matches(event) ? { kind: 'done' } : unhandled(delivery))
    const shared = new SharedDelivery(this.#bus, delivery, recipients)
    if (task !== undefined) this.#enqueue(task, { event, shared })
    for (const { task: started, ...start } of starts) this.#enqueue(started, { event, ...start, shared })
    if (routed.length > 0) void forwardToInstances(this.#bus, event, routed, shared)
    if (awaiting) this.#offers.offer(shared, awaiting, [...this.#inboxes.keys(), ...this.#cachedTasks.ids()])
  }

  #enqueue(task: string, input: TaskInput) {
    const inbox = this.#inbox(task)
    if (inbox.queue.some(waiting => waiting.event.id === input.event.id)) return input.shared.acknowledge(task)
    inbox.queue.push(input)
    this.#work(inbox)
  }

  #wake(task: string) {
    const inbox = this.#inbox(task)
    inbox.woken = true
    this.#work(inbox)
  }

  #inbox(task: string): TaskInbox {
    let inbox = this.#inboxes.get(task)
    if (!inbox) this.#inboxes.set(task, (inbox = new TaskInbox(task)))
    return inbox
  }

  #work(inbox: TaskInbox) {
    if (inbox.busy) return
    inbox.busy = true
    this.#working++
    void this.#processInbox(inbox)
  }

  /** Decides turns until no input waits for the task. Never throws. */
  async #processInbox(inbox: TaskInbox): Promise<void> {
    while (!inbox.lost && (inbox.queue.length > 0 || inbox.woken)) {
      const inputs = inbox.takeBatch()
      const woken = inbox.woken
      inbox.woken = false
      try {
        await this.#decider.process(inbox, inputs, woken)
      } catch (error) {
        this.#cachedTasks.delete(inbox.task)
        // A wake-up has no delivery to park. The driver repeats it at growing intervals and lists it as overdue.
        if (woken && inputs.length === 0)
          log.warn?.({ task: inbox.task }, this.#bus.redactor.text(`the task could not be woken: ${textOf(error)}`))
        if (!inbox.lost)
          for (const { shared } of inputs)
            shared.acknowledge(inbox.task, outcomeForError(error, inbox.task, shared.delivery))
      }
      if (inbox.lost) inbox.queue.push(...inputs)
    }
    if (inbox.lost) returnForeignInputs(inbox)
    // Synchronous with the last check of the queue, so that no input can arrive in between.
    inbox.busy = false
    if (!inbox.lost) this.#inboxes.delete(inbox.task)
    if (--this.#working === 0) this.#idle?.()
  }

  #forgetShard(shard: number) {
    const { shards } = this.#bus
    const isLost = (id: string) => shardOf(correlationOf(id), shards) === shard
    this.#decider.forget(shard)
    this.#steps.forget(isLost)
    for (const [id, inbox] of this.#inboxes) {
      if (!isLost(id)) continue
      inbox.lost = true
      this.#inboxes.delete(id)
    }
    this.#cachedTasks.forget(isLost)
  }
}
