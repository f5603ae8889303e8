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
import { correlationOf, parseId, shardOf, taskId } from '../bus/ids.ts'
import { log } from '../bus/telemetry/log.ts'
import { TaskLimits } from './task-limits.ts'
import type { Budget } from './budget.ts'
import { latestSuccessor } from './successor.ts'
import { composeTurn } from './compose.ts'
import { shouldStart } from './should-start.ts'
import { EffectPolicies } from './effects.ts'
import { returnForeignInputs, TaskInbox, SharedDelivery, type TaskInput } from './inbox.ts'
import { routedEventIn, routedType } from '../bus/routed.ts'
import { isRouted, matchInstance, migrateType } from './instances.ts'
import { loadTask, reloadTask, tombstone } from './load.ts'
import type { ProgramDefinition } from './program.ts'
import { Programs } from './programs.ts'
import { routeRecipient, forwardToInstances } from './routing.ts'
import {
  isAnsweredBy,
  filterOf,
  isFirstOfCorrelation,
  isFirstStart,
  mayAppearLater,
  lateDraft,
  retryLater,
  discardMisrouted,
  outcomeForError,
  cancelledDraft,
  classifyInput,
  startsOn,
  unhandled,
} from './rules.ts'
import { beginTask, type Task } from './task.ts'
import { expiredAnswer, type OpenCall, TurnBuilder } from './turn.ts'

/*
 * The engine of one app in one process. It owns shards; of every task in them it takes the inputs, decides one turn at
 * a time, and commits it. The version fence of `commit` decides between two owners, whatever the leases believed:
 *
 *     idle ──input──▶ busy: load (hot or journal) ─▶ sift inputs ─▶ decide ─▶ commit ─┬─ accepted ─▶ idle, or again
 *       ▲                                                                             └─ conflict ─▶ forget, load again
 *       └── shard lost, or the log cannot be written: forget everything; the driver hands the inputs out again
 */

export interface EngineOptions {
  bus: Bus
  /** Workers with the same group share the tasks. */
  group: string
  programs: readonly ProgramDefinition[]
  /** Longest chain of tasks that may start each other. */
  maxHops: number
  budget: Budget
  pauses: Pauses
  /** Tasks kept in memory while they wait. */
  maxCachedTasks?: number
  /** Inputs taken from the bus at once. */
  maxInFlight?: number
  /** For tests only: the wall clock by which waits end. */
  now?: () => number
  /** For tests that must fail without it: what stands in for {@link classifyInput}. */
  classifyInput?: typeof classifyInput
}

const maxConflicts = 3

interface TaskStart {
  readonly program?: string
  readonly started: string
  readonly joins?: true
}

export class Engine {
  readonly #options: EngineOptions
  readonly #bus: Bus
  readonly #programs: Programs
  /** What new tasks start with. */
  readonly #newest: Map<string, ProgramDefinition>
  /** Of those, what events begin that nobody addressed. */
  readonly #workflows: readonly ProgramDefinition[]
  /** Of those, whose instances live under keys. */
  readonly #keyed: readonly ProgramDefinition[]
  readonly #limits: TaskLimits
  readonly #effectPolicies: EffectPolicies
  readonly #inboxes = new Map<string, TaskInbox>()
  readonly #cachedTasks = new Map<string, Task>()
  readonly #maxCachedTasks: number
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
    this.#newest = new Map(this.#programs.newest.map(program => [program.name, program]))
    this.#workflows = [...this.#newest.values()].filter(program => program.instances)
    this.#keyed = this.#workflows.filter(program => program.instances!.key)
    this.#limits = new TaskLimits(options.bus, options.maxHops, options.budget, this.#keyed)
    this.#effectPolicies = new EffectPolicies(options.bus)
    this.#maxCachedTasks = options.maxCachedTasks ?? 4_096
    this.#classifyInput = options.classifyInput ?? classifyInput
    this.#now = options.now ?? Date.now
    const filter = filterOf(options.programs)
    this.#group = { group: options.group, filter, mode: 'sharded', from: 'now' }
    this.#matches = compileFilter(filter)
  }

  /** Without working it: from now on nothing that this app asks for is lost, be it that its first worker comes later. */
  provisionApp(): Promise<void> {
    return this.#bus.driver.createGroup(this.#group)
  }

  async start(): Promise<void> {
    this.#consumer = await this.#bus.driver.subscribe({
      ...this.#group,
      inFlight: this.#options.maxInFlight ?? 1_024,
      onDelivery: delivery => this.#deliver(delivery),
      onWake: task => this.#wake(task),
      onLost: shard => this.#forgetShard(shard),
    })
  }

  /** Takes no more inputs, ends the turns under way, gives the shards back; at the cut without waiting for those turns. */
  async stop(cut?: AbortSignal): Promise<void> {
    this.#consumer?.pause()
    if (this.#working > 0) await settledOrAborted(new Promise<void>(resolve => (this.#idle = resolve)), cut)
    for (const inbox of this.#inboxes.values()) inbox.lost = true
    await this.#consumer?.close()
  }

  #deliver(delivery: Delivery) {
    const { event } = delivery
    const task = this.#addressee(event)
    const starts = [...this.#newest.values()]
      .filter(program => startsOn(program, event))
      .map(({ name }): TaskStart => ({ program: name, started: taskId(event.correlationid, name, event.id) }))
    for (const program of this.#workflows) {
      const joining = matchInstance(program, event)
      if (joining)
        starts.push({ ...(joining.begins && { program: program.name }), started: joining.instance, joins: true })
    }
    const routed = this.#keyed.filter(program => isRouted(program, event))
    const takers = [
      ...(task === undefined ? [] : [task]),
      ...starts.map(({ started }) => started),
      ...routed.map(routeRecipient),
    ]
    // Asked for and wanted by nobody (an agent's own end), or asked for by another worker of this app.
    if (takers.length === 0)
      return void settle(this.#bus, delivery, this.#matches(event) ? { kind: 'done' } : unhandled(delivery))
    const shared = new SharedDelivery(this.#bus, delivery, takers)
    if (task !== undefined) this.#enqueue(task, { event, shared })
    for (const { started, ...start } of starts) this.#enqueue(started, { event, ...start, shared })
    if (routed.length > 0) void forwardToInstances(this.#bus, event, routed, shared)
  }

  /** The task of this app that an event answers or cancels. */
  #addressee(event: CloudEvent): string | undefined {
    if (event.type === 'agent.invoke' || !this.#programs.has(event.target ?? '')) return undefined
    if (event.type === 'agent.cancel' || event.type === migrateType) return event.subject ?? ''
    return event.call && parseId(event.call)?.task
  }

  #enqueue(task: string, input: TaskInput) {
    const inbox = this.#inbox(task)
    if (!inbox.queue.some(waiting => waiting.event.id === input.event.id)) inbox.queue.push(input)
    else return input.shared.acknowledge(task, false)
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

  /** Works until nothing waits for the task. Never throws. */
  async #processInbox(inbox: TaskInbox): Promise<void> {
    while (!inbox.lost && (inbox.queue.length > 0 || inbox.woken)) {
      const inputs = inbox.takeBatch()
      const woken = inbox.woken
      inbox.woken = false
      try {
        await this.#processBatch(inbox, inputs, woken)
      } catch (error) {
        this.#cachedTasks.delete(inbox.task)
        // There is no delivery that could be parked: it is called again, more and more seldom, and becomes overdue.
        if (woken && inputs.length === 0)
          log.warn?.({ task: inbox.task }, this.#bus.redactor.text(`could not be woken: ${textOf(error)}`))
        if (!inbox.lost)
          for (const input of inputs)
            input.shared.acknowledge(inbox.task, false, outcomeForError(error, inbox.task, input))
      }
      if (inbox.lost) inbox.queue.push(...inputs)
    }
    if (inbox.lost) returnForeignInputs(inbox)
    // In one go with the last look at the queue, so that no input arrives between.
    inbox.busy = false
    if (!inbox.lost) this.#inboxes.delete(inbox.task)
    if (--this.#working === 0) this.#idle?.()
  }

  async #processBatch(inbox: TaskInbox, offered: readonly TaskInput[], woken: boolean): Promise<void> {
    const now = this.#now()
    let task = this.#cachedTasks.get(inbox.task)
    // An answer to a turn that is newer than what is cached, or a wake-up of which it knows nothing: somebody else went on.
    const look = task
      ? offered.some(input => this.#classifyInput(task, input) === 'ahead') ||
        (woken && task.expired(now, () => false).length === 0)
      : woken || inbox.conflicts > 0 || !offered.every(isFirstStart)
    if (look) {
      const isCancelled = offered.some(({ event }) => event.type === 'agent.cancel')
      task = await loadTask(this.#bus, this.#programs, inbox.task, isCancelled)
    }
    if (inbox.lost) return
    const inputs: TaskInput[] = []
    for (const input of offered) {
      if (input.event.type === routedType && !routedEventIn(await this.#bus.resolve(input.event))) {
        input.shared.acknowledge(inbox.task, false, discardMisrouted(input.event))
        continue
      }
      const verdict = this.#classifyInput(task, input)
      if (verdict === 'ahead') input.shared.acknowledge(inbox.task, false, retryLater(input))
      else if (
        verdict === 'take' &&
        !isAnsweredBy(inputs, input) &&
        (task || (await shouldStart(this.#bus, inbox.task, input)))
      )
        inputs.push(input)
      else {
        if (verdict === 'late') await this.#bus.publish(lateDraft(inbox.task, await this.#bus.resolve(input.event)))
        const refused = verdict === 'refuse' && cancelledDraft(this.#newest.get(input.program!)!, input)
        if (refused) await this.#bus.publish(refused)
        if (verdict !== 'follow' || !(await this.#forwardToSuccessor(inbox, [input])))
          input.shared.acknowledge(inbox.task, false)
      }
    }
    // A start goes before its cancellation, in whatever order they came.
    if (!task) inputs.sort((a, b) => Number(b.program !== undefined) - Number(a.program !== undefined))
    const agent = task?.identity.program ?? inputs[0]?.program
    if (agent !== undefined && this.#options.pauses.has('agent', agent)) {
      const outcome = pausedOutcome('agent', agent)
      for (const input of inputs) input.shared.acknowledge(inbox.task, false, outcome)
      return
    }
    const expired = woken && task && !task.end ? task.expired(now, id => inbox.hasAnswer(id)) : []
    if (inputs.length === 0 && expired.length === 0) {
      if (task) this.#cache(task)
      return
    }
    task ??= await this.#startTask(inbox, inputs)
    if (!task) return
    await this.#decide(inbox, task, inputs, expired, now)
  }

  /** The task that these inputs begin; undefined, with the inputs settled, when none may begin. */
  async #startTask(inbox: TaskInbox, inputs: readonly TaskInput[]): Promise<Task | undefined> {
    const [{ event, program }] = inputs as [TaskInput]
    if (program === undefined) {
      if (await this.#forwardToSuccessor(inbox, inputs)) return undefined
      if (inbox.conflicts === 0) return tombstone(this.#newest.get(event.target!)!, inbox.task, event)
      // The fence knows the task and the journal does not: it lags behind, or the task ended so long ago that it was purged.
      for (const input of inputs)
        input.shared.acknowledge(inbox.task, false, mayAppearLater(input) ? retryLater(input) : undefined)
      return undefined
    }
    const tooFar = this.#limits.hopLimitError(event.hops + 1)
    if (!tooFar || event.replyto) return beginTask(this.#bus, this.#newest.get(program)!, inbox.task, event)
    // Nobody waits for an answer: saying that it failed could start the next round of the loop.
    this.#discard(inbox, inputs, reasonOf(tooFar))
    return undefined
  }

  /** Begins no task. */
  #discard(inbox: TaskInbox, inputs: readonly TaskInput[], reason: Reason) {
    for (const { shared, program } of inputs)
      shared.acknowledge(inbox.task, false, program === undefined ? undefined : { kind: 'discard', reason })
  }

  /** Gives cancellations to the task as which this one goes on. False when it goes on as none. */
  async #forwardToSuccessor(inbox: TaskInbox, inputs: readonly TaskInput[]): Promise<boolean> {
    const heir = await latestSuccessor(this.#bus, inbox.task)
    if (heir === undefined) return false
    for (const input of inputs) {
      input.shared.reassign(inbox.task, heir)
      this.#enqueue(heir, input)
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
    const decided = new TurnBuilder(identity, deciding.head + 1, embedded, now)
    const since = inputs.map(({ shared }) => shared.delivery.since)
    using trace = new TurnTrace(this.#bus.driver.name, identity, decided.version, embedded, since)
    const isFirst = deciding.head === 0 && inputs.length > 0 && isFirstOfCorrelation(inputs[0]!)
    using charge = this.#limits.charge(identity.start.correlationid, isFirst)
    const refused = await this.#limits.decide(deciding, decided, seen, charge)
    if (refused?.isSilent) return this.#discard(inbox, inputs, refused.reason)
    const told = refused?.notice ? [refused.notice] : []
    const { task, builder, turn, turnEntry, events, emitted, wake } = await composeTurn(
      this.#bus,
      {
        task: deciding,
        builder: decided,
        embedded: [...embedded, ...told],
        seen,
        expired,
        engineAnswers: [...expiries, ...told],
        recordSpending: wanted => this.#limits.recordSpending(deciding, wanted, seen, charge),
        reloadTask: () => reloadTask(this.#bus, this.#programs, this.#newest, deciding, seen[0]!),
      },
      async wanted => trace.emitted(await this.#effectPolicies.apply(identity.start.replay, wanted)),
    )
    task.advance(turn, turnEntry.json.length)
    const snapshot = !builder.end && task.snapshotDue ? task.snapshot() : undefined
    const outcome: DeliveryOutcome = refused ? { kind: 'discard', reason: refused.reason } : { kind: 'done' }
    const settling = inputs.filter(input => input.shared.isLast)
    const settle = settling.map(input => ({ delivery: input.shared.delivery, outcome }))
    if (inbox.lost) return
    charge.committing()
    const result = await this.#bus.driver.commit({
      group: this.#options.group,
      task: identity.task,
      expect: builder.version - 1,
      turn: turnEntry,
      events,
      settle,
      wake,
      ...(snapshot !== undefined && { snapshot }),
      ...(builder.end && { end: true }),
    })
    if (result === 'conflict') {
      this.#cachedTasks.delete(identity.task)
      if (++inbox.conflicts > maxConflicts)
        throw new TidingsError('E_LOG_UNAVAILABLE', 'another worker decides for this task', { retryable: true })
      inbox.queue.unshift(...inputs)
      return
    }
    inbox.conflicts = 0
    charge.accepted()
    trace.accepted(emitted, settle, builder.end)
    for (const input of inputs) input.shared.acknowledge(inbox.task, settling.includes(input))
    // Running executors hear it at once; the event itself is for those that still queue.
    for (const event of builder.events) if (event.type === 'call.cancelled') this.#bus.driver.sendSignal(event)
    if (builder.end) this.#cachedTasks.delete(identity.task)
    else this.#cache(task)
  }

  #cache(task: Task) {
    const id = task.identity.task
    this.#cachedTasks.delete(id)
    if (task.end) return
    this.#cachedTasks.set(id, task)
    if (this.#cachedTasks.size > this.#maxCachedTasks) this.#cachedTasks.delete(this.#cachedTasks.keys().next().value!)
  }

  #forgetShard(shard: number) {
    const { shards } = this.#bus.driver
    const gone = (id: string) => shardOf(correlationOf(id), shards) === shard
    this.#limits.forget(shard)
    for (const [id, inbox] of this.#inboxes) {
      if (!gone(id)) continue
      inbox.lost = true
      this.#inboxes.delete(id)
    }
    for (const id of this.#cachedTasks.keys()) if (gone(id)) this.#cachedTasks.delete(id)
  }
}
