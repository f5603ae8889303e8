import type { CloudEvent } from '../event.ts'
import { textOf, TidingsError } from '../errors.ts'
import { compileFilter } from '../pattern.ts'
import type { Bus } from '../bus/bus.ts'
import { settledOrAborted } from '../bus/abort.ts'
import { settle } from '../bus/delivery.ts'
import type { Consumer, ConsumerGroup, Delivery, DeliveryOutcome } from '../bus/driver.ts'
import { pausedOutcome, type Pauses } from '../bus/pauses.ts'
import { reasonOf, type Reason } from '../bus/reason.ts'
import { TurnTrace } from '../bus/telemetry/turn.ts'
import { correlationOf, shardOf } from '../bus/ids.ts'
import { log } from '../bus/telemetry/log.ts'
import { TaskLimits } from './task-limits.ts'
import { messageType } from './asked.ts'
import type { Budget } from './budget.ts'
import { composeTurn } from './compose.ts'
import { endWithoutJournal, shouldStart } from './should-start.ts'
import { EffectPolicies } from './effects.ts'
import { EventOffers, offerRecipient } from './event-offers.ts'
import { returnForeignInputs, TaskInbox, SharedDelivery, type TaskInput } from './inbox.ts'
import { routedEventIn, routedType } from '../bus/routed.ts'
import { TaskLoader, tombstone } from './load.ts'
import type { ProgramDefinition } from './program.ts'
import { Programs } from './programs.ts'
import { routeRecipient, forwardToInstances } from './routing.ts'
import {
  addresseeOf,
  isAnsweredBy,
  filterOf,
  isFirstOfCorrelation,
  isFirstStart,
  lateDraft,
  retryLater,
  discardMisrouted,
  outcomeForError,
  cancelledDraft,
  classifyInput,
  unhandled,
} from './rules.ts'
import { StepRunner } from './steps.ts'
import { TaskCache } from './task-cache.ts'
import type { Task } from './task.ts'
import { expiredAnswer } from './engine-answers.ts'
import { TurnBuilder, type OpenCall } from './turn.ts'
import { writeLog } from './turn-log.ts'

/*
 * The engine of one app in one process. It owns shards. For each task in them it reads the inputs, decides one turn at a time and
 * commits it. If two processes believe that they own a shard, the version check of `commit` accepts one of their turns:
 *
 *     idle ──input──▶ load (cache or journal) ─▶ classify inputs ─▶ decide ─▶ commit ─┬─ accepted ─▶ idle, or the next turn
 *       ▲                                                                             └─ conflict ─▶ evict, load once more
 *       └── shard lost, or the log cannot be written: evict everything; the driver redelivers the inputs
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

const maxConflicts = 3

export class Engine {
  readonly #options: EngineOptions
  readonly #bus: Bus
  readonly #programs: Programs
  readonly #loader: TaskLoader
  readonly #limits: TaskLimits
  readonly #effectPolicies: EffectPolicies
  readonly #steps: StepRunner
  readonly #offers: EventOffers
  readonly #inboxes = new Map<string, TaskInbox>()
  readonly #cachedTasks: TaskCache
  readonly #classifyInput: typeof classifyInput
  readonly #now: () => number
  readonly #group: ConsumerGroup
  readonly #matches: (event: CloudEvent) => boolean
  #consumer: Consumer | undefined
  #working = 0
  #idle: (() => void) | undefined

  constructor(options: EngineOptions) {
    this.#options = options
    this.#bus = options.bus
    this.#programs = new Programs(options.programs)
    this.#loader = new TaskLoader(options.bus, this.#programs)
    this.#limits = new TaskLimits({ ...options, keyed: this.#programs.keyed })
    this.#effectPolicies = new EffectPolicies(options.bus)
    this.#steps = new StepRunner(options)
    this.#offers = new EventOffers(options.bus, (task, input) => this.#enqueue(task, input))
    this.#cachedTasks = new TaskCache(options.maxCachedTasks)
    this.#classifyInput = options.classifyInput ?? classifyInput
    this.#now = options.bus.now
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
        await this.#processBatch(inbox, inputs, woken)
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

  async #processBatch(inbox: TaskInbox, batch: readonly TaskInput[], woken: boolean): Promise<void> {
    const now = this.#now()
    let task = this.#cachedTasks.get(inbox.task)
    // An answer to a turn after the cached one, or a wake-up that the cached task does not expect: another worker decided a turn.
    const isStale = task
      ? batch.some(input => this.#classifyInput(task, input) === 'early') ||
        (woken && task.expired(now, () => false).length === 0)
      : woken || inbox.conflicts > 0 || !batch.every(isFirstStart)
    if (isStale) {
      const isCancelled = batch.some(({ event }) => event.type === 'agent.cancel')
      task = await this.#loader.load(inbox.task, isCancelled)
    }
    if (inbox.lost) return
    const inputs: TaskInput[] = []
    for (const input of batch) if (await this.#accepts(inbox, task, input, inputs)) inputs.push(input)
    // A start comes before its cancellation, whatever the order of delivery.
    if (!task) inputs.sort((a, b) => Number(b.program !== undefined) - Number(a.program !== undefined))
    const agent = task?.identity.program ?? inputs[0]?.program
    if (agent !== undefined && this.#options.pauses.has('agent', agent)) {
      const outcome = pausedOutcome('agent', agent)
      for (const { shared } of inputs) shared.acknowledge(inbox.task, outcome)
      return
    }
    const expired = woken && task && !task.end ? task.expired(now, id => inbox.hasAnswer(id)) : []
    if (inputs.length === 0 && expired.length === 0) {
      if (task) this.#cachedTasks.add(task)
      return
    }
    task ??= await this.#startTask(inbox, inputs)
    if (!task) return
    await this.#decide(inbox, task, inputs, expired, now)
  }

  /** Whether the next turn decides on an input. All others are acknowledged here. */
  async #accepts(
    inbox: TaskInbox,
    task: Task | undefined,
    input: TaskInput,
    accepted: readonly TaskInput[],
  ): Promise<boolean> {
    const { event, program, shared } = input
    const { task: id } = inbox
    if (event.type === routedType && !routedEventIn(await this.#bus.resolve(event))) {
      shared.acknowledge(id, discardMisrouted(event))
      return false
    }
    const kind = this.#classifyInput(task, input)
    if (kind === 'run') {
      this.#steps.run(task!, event, shared)
      return false
    }
    if (kind === 'early') {
      // The task that this batch starts takes the message in its next turn.
      if ((event.type === messageType || input.isOffered) && accepted.length > 0) inbox.queue.push(input)
      else shared.acknowledge(id, retryLater(shared.delivery))
      return false
    }
    if (kind === 'accept' && !isAnsweredBy(accepted, input) && (task || (await shouldStart(this.#bus, id, input))))
      return true
    if (kind === 'late') await this.#bus.publish(lateDraft(id, await this.#bus.resolve(event)))
    const cancelled = kind === 'reject' && cancelledDraft(this.#programs.newest.get(program!)!, event)
    if (cancelled) await this.#bus.publish(cancelled)
    if (kind !== 'forward' || !(await this.#forwardToSuccessor(id, [input]))) shared.acknowledge(id)
    return false
  }

  /** The task that these inputs start. Undefined, with the inputs acknowledged, if none may start. */
  async #startTask(inbox: TaskInbox, inputs: readonly TaskInput[]): Promise<Task | undefined> {
    const [{ event, program }] = inputs as [TaskInput]
    if (program === undefined && (await this.#forwardToSuccessor(inbox.task, inputs))) return undefined
    if (inbox.conflicts > 0) {
      for (const input of inputs) await endWithoutJournal(this.#bus, inbox.task, input)
      return undefined
    }
    if (program === undefined) return tombstone(this.#programs.newest.get(event.target!)!, inbox.task, event)
    const tooFar = this.#limits.hopLimitError(event.hops + 1)
    if (!tooFar || event.replyto) return this.#loader.begin(program, inbox.task, event)
    // No caller waits for an answer, and publishing the failure could start the next round of the loop.
    return this.#discard(inbox, inputs, reasonOf(tooFar))
  }

  /** Discards the inputs that would have started the task. */
  #discard(inbox: TaskInbox, inputs: readonly TaskInput[], reason: Reason): undefined {
    for (const { shared, program } of inputs)
      shared.acknowledge(inbox.task, program === undefined ? undefined : { kind: 'discard', reason })
  }

  /** Passes cancellations on to the task that continues this one. False if there is none. */
  async #forwardToSuccessor(task: string, inputs: readonly TaskInput[]): Promise<boolean> {
    const successor = await this.#loader.latestSuccessor(task)
    if (successor === undefined) return false
    for (const input of inputs) {
      input.shared.reassign(task, successor)
      this.#enqueue(successor, input)
    }
    return true
  }

  async #decide(
    inbox: TaskInbox,
    deciding: Task,
    inputs: readonly TaskInput[],
    expired: readonly OpenCall[],
    now: number,
  ): Promise<void> {
    const { identity } = deciding
    const expiries = expired
      .filter(call => !inputs.some(({ event }) => event.call === call.id))
      .map(call => expiredAnswer(call, identity, now))
    const embedded = [...inputs.map(({ event }) => event), ...expiries]
    const seen = await Promise.all(embedded.map(event => this.#bus.resolve(event)))
    const decided = new TurnBuilder({ identity, version: deciding.head + 1, inputs: embedded, now })
    using trace = new TurnTrace({
      system: this.#bus.name,
      traced: identity,
      version: decided.version,
      inputs: embedded,
      since: inputs.map(({ shared }) => shared.delivery.since),
    })
    const isFirst = deciding.head === 0 && inputs.length > 0 && isFirstOfCorrelation(inputs[0]!)
    using charge = this.#limits.charge(identity.start.correlationid, isFirst)
    const refused = await this.#limits.decide(deciding, decided, seen, charge)
    if (refused?.isSilent) return this.#discard(inbox, inputs, refused.reason)
    const notices = refused?.notice ? [refused.notice] : []
    const { task, builder, turn, turnEntry, events, emitted, wake } = await composeTurn(
      this.#bus,
      {
        task: deciding,
        builder: decided,
        embedded: [...embedded, ...notices],
        seen,
        expired,
        engineAnswers: [...expiries, ...notices],
        recordSpending: wanted => this.#limits.recordSpending(deciding, wanted, seen, charge),
        reloadTask: () => this.#loader.reload(deciding.identity, seen[0]!),
      },
      async wanted => trace.emitted(await this.#effectPolicies.apply(identity.start.replay, wanted)),
    )
    task.advance(turn, turnEntry.json.length)
    const snapshot = !builder.end && task.snapshotDue ? task.snapshot() : undefined
    const outcome: DeliveryOutcome = refused ? { kind: 'discard', reason: refused.reason } : { kind: 'done' }
    const settling = inputs.filter(input => input.shared.isLast)
    const settlements = settling.map(input => ({ delivery: input.shared.delivery, outcome }))
    if (inbox.lost) return
    charge.committing()
    const result = await this.#bus.commit({
      group: this.#options.group,
      task: identity.task,
      expect: builder.version - 1,
      turn: turnEntry,
      events,
      settle: settlements,
      wake,
      ...(snapshot !== undefined && { snapshot }),
      ...(builder.end && { end: true }),
    })
    if (result === 'conflict') {
      this.#cachedTasks.delete(identity.task)
      if (++inbox.conflicts > maxConflicts)
        throw new TidingsError('E_TASK_MOVED', `another worker keeps deciding turns of task ${identity.task}`, {
          retryable: true,
          next: 'The driver redelivers the event. If this continues, check that every worker renews its lease: that it reaches the broker and does not block.',
        })
      inbox.queue.unshift(...inputs)
      return
    }
    inbox.conflicts = 0
    charge.accepted()
    if (builder.lines) writeLog(identity, builder.lines)
    trace.accepted(emitted, settlements, builder.end)
    for (const input of inputs) input.shared.acknowledge(inbox.task, undefined, settling.includes(input))
    // Stops calls that run now. The event itself cancels those that are still queued.
    for (const event of builder.events) if (event.type === 'call.cancelled') this.#bus.sendSignal(event)
    this.#cachedTasks.add(task)
  }

  #forgetShard(shard: number) {
    const { shards } = this.#bus
    const isLost = (id: string) => shardOf(correlationOf(id), shards) === shard
    this.#limits.forget(shard)
    this.#steps.forget(isLost)
    for (const [id, inbox] of this.#inboxes) {
      if (!isLost(id)) continue
      inbox.lost = true
      this.#inboxes.delete(id)
    }
    this.#cachedTasks.forget(isLost)
  }
}
