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
import { Bounds } from './task-limits.ts'
import type { Budget } from './budget.ts'
import { heirOf } from './successor.ts'
import { compose } from './compose.ts'
import { isDue } from './should-start.ts'
import { Replays } from './effects.ts'
import { handBack, Inbox, Shared, type Input } from './inbox.ts'
import { routedEventIn, routedType } from '../bus/routed.ts'
import { isRouted, joins, migrateType } from './instances.ts'
import { load, reload, tombstone } from './load.ts'
import type { ProgramDefinition } from './program.ts'
import { Programs } from './programs.ts'
import { routeTaker, sendOn } from './routing.ts'
import {
  answered,
  filterOf,
  isFirstOfAll,
  isFirstStart,
  isMissing,
  lateDraft,
  lookLater,
  misrouted,
  refusal,
  refusedDraft,
  sift,
  startsOn,
  unplaced,
} from './rules.ts'
import { beginTask, type Task } from './task.ts'
import { expiryOf, type OpenCall, TurnBuilder } from './turn.ts'

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
  hotTasks?: number
  /** Inputs taken from the bus at once. */
  inFlight?: number
  /** For tests only: the wall clock by which waits end. */
  now?: () => number
  /** For tests that must fail without it: what stands in for {@link sift}. */
  sift?: typeof sift
}

const maxConflicts = 3

interface Start {
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
  readonly #bounds: Bounds
  readonly #replays: Replays
  readonly #inboxes = new Map<string, Inbox>()
  readonly #hot = new Map<string, Task>()
  readonly #hotTasks: number
  readonly #sift: typeof sift
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
    this.#bounds = new Bounds(options.bus, options.maxHops, options.budget, this.#keyed)
    this.#replays = new Replays(options.bus)
    this.#hotTasks = options.hotTasks ?? 4_096
    this.#sift = options.sift ?? sift
    this.#now = options.now ?? Date.now
    const filter = filterOf(options.programs)
    this.#group = { group: options.group, filter, mode: 'sharded', from: 'now' }
    this.#matches = compileFilter(filter)
  }

  /** Without working it: from now on nothing that this app asks for is lost, be it that its first worker comes later. */
  provision(): Promise<void> {
    return this.#bus.driver.createGroup(this.#group)
  }

  async start(): Promise<void> {
    this.#consumer = await this.#bus.driver.subscribe({
      ...this.#group,
      inFlight: this.#options.inFlight ?? 1_024,
      onDelivery: delivery => this.#deliver(delivery),
      onWake: task => this.#wake(task),
      onLost: shard => this.#lose(shard),
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
      .map(({ name }): Start => ({ program: name, started: taskId(event.correlationid, name, event.id) }))
    for (const program of this.#workflows) {
      const joining = joins(program, event)
      if (joining)
        starts.push({ ...(joining.begins && { program: program.name }), started: joining.instance, joins: true })
    }
    const routed = this.#keyed.filter(program => isRouted(program, event))
    const takers = [
      ...(task === undefined ? [] : [task]),
      ...starts.map(({ started }) => started),
      ...routed.map(routeTaker),
    ]
    // Asked for and wanted by nobody (an agent's own end), or asked for by another worker of this app.
    if (takers.length === 0)
      return void settle(this.#bus, delivery, this.#matches(event) ? { kind: 'done' } : unplaced(delivery))
    const shared = new Shared(this.#bus, delivery, takers)
    if (task !== undefined) this.#offer(task, { event, shared })
    for (const { started, ...start } of starts) this.#offer(started, { event, ...start, shared })
    if (routed.length > 0) void sendOn(this.#bus, event, routed, shared)
  }

  /** The task of this app that an event answers or cancels. */
  #addressee(event: CloudEvent): string | undefined {
    if (event.type === 'agent.invoke' || !this.#programs.has(event.target ?? '')) return undefined
    if (event.type === 'agent.cancel' || event.type === migrateType) return event.subject ?? ''
    return event.call && parseId(event.call)?.task
  }

  #offer(task: string, input: Input) {
    const inbox = this.#inbox(task)
    if (!inbox.queue.some(waiting => waiting.event.id === input.event.id)) inbox.queue.push(input)
    else return input.shared.taken(task, false)
    this.#work(inbox)
  }

  #wake(task: string) {
    const inbox = this.#inbox(task)
    inbox.woken = true
    this.#work(inbox)
  }

  #inbox(task: string): Inbox {
    let inbox = this.#inboxes.get(task)
    if (!inbox) this.#inboxes.set(task, (inbox = new Inbox(task)))
    return inbox
  }

  #work(inbox: Inbox) {
    if (inbox.busy) return
    inbox.busy = true
    this.#working++
    void this.#turns(inbox)
  }

  /** Works until nothing waits for the task. Never throws. */
  async #turns(inbox: Inbox): Promise<void> {
    while (!inbox.lost && (inbox.queue.length > 0 || inbox.woken)) {
      const inputs = inbox.take()
      const woken = inbox.woken
      inbox.woken = false
      try {
        await this.#turn(inbox, inputs, woken)
      } catch (error) {
        this.#hot.delete(inbox.task)
        // There is no delivery that could be parked: it is called again, more and more seldom, and becomes overdue.
        if (woken && inputs.length === 0)
          log.warn?.({ task: inbox.task }, this.#bus.redactor.text(`could not be woken: ${textOf(error)}`))
        if (!inbox.lost)
          for (const input of inputs) input.shared.taken(inbox.task, false, refusal(error, inbox.task, input))
      }
      if (inbox.lost) inbox.queue.push(...inputs)
    }
    if (inbox.lost) handBack(inbox)
    // In one go with the last look at the queue, so that no input arrives between.
    inbox.busy = false
    if (!inbox.lost) this.#inboxes.delete(inbox.task)
    if (--this.#working === 0) this.#idle?.()
  }

  async #turn(inbox: Inbox, offered: readonly Input[], woken: boolean): Promise<void> {
    const now = this.#now()
    let task = this.#hot.get(inbox.task)
    // An answer to a turn that is newer than what is cached, or a wake-up of which it knows nothing: somebody else went on.
    const look = task
      ? offered.some(input => this.#sift(task, input) === 'ahead') ||
        (woken && task.expired(now, () => false).length === 0)
      : woken || inbox.conflicts > 0 || !offered.every(isFirstStart)
    if (look) {
      const isCancelled = offered.some(({ event }) => event.type === 'agent.cancel')
      task = await load(this.#bus, this.#programs, inbox.task, isCancelled)
    }
    if (inbox.lost) return
    const inputs: Input[] = []
    for (const input of offered) {
      if (input.event.type === routedType && !routedEventIn(await this.#bus.resolve(input.event))) {
        input.shared.taken(inbox.task, false, misrouted(input.event))
        continue
      }
      const verdict = this.#sift(task, input)
      if (verdict === 'ahead') input.shared.taken(inbox.task, false, lookLater(input))
      else if (verdict === 'take' && !answered(inputs, input) && (task || (await isDue(this.#bus, inbox.task, input))))
        inputs.push(input)
      else {
        if (verdict === 'late') await this.#bus.publish(lateDraft(inbox.task, await this.#bus.resolve(input.event)))
        const refused = verdict === 'refuse' && refusedDraft(this.#newest.get(input.program!)!, input)
        if (refused) await this.#bus.publish(refused)
        if (verdict !== 'follow' || !(await this.#follow(inbox, [input]))) input.shared.taken(inbox.task, false)
      }
    }
    // A start goes before its cancellation, in whatever order they came.
    if (!task) inputs.sort((a, b) => Number(b.program !== undefined) - Number(a.program !== undefined))
    const agent = task?.identity.program ?? inputs[0]?.program
    if (agent !== undefined && this.#options.pauses.has('agent', agent)) {
      const outcome = pausedOutcome('agent', agent)
      for (const input of inputs) input.shared.taken(inbox.task, false, outcome)
      return
    }
    const expired = woken && task && !task.end ? task.expired(now, id => inbox.answers(id)) : []
    if (inputs.length === 0 && expired.length === 0) {
      if (task) this.#keep(task)
      return
    }
    task ??= await this.#begin(inbox, inputs)
    if (!task) return
    await this.#decide(inbox, task, inputs, expired, now)
  }

  /** The task that these inputs begin; undefined, with the inputs settled, when none may begin. */
  async #begin(inbox: Inbox, inputs: readonly Input[]): Promise<Task | undefined> {
    const [{ event, program }] = inputs as [Input]
    if (program === undefined) {
      if (await this.#follow(inbox, inputs)) return undefined
      if (inbox.conflicts === 0) return tombstone(this.#newest.get(event.target!)!, inbox.task, event)
      // The fence knows the task and the journal does not: it lags behind, or the task ended so long ago that it was purged.
      for (const input of inputs) input.shared.taken(inbox.task, false, isMissing(input) ? lookLater(input) : undefined)
      return undefined
    }
    const tooFar = this.#bounds.tooFar(event.hops + 1)
    if (!tooFar || event.replyto) return beginTask(this.#bus, this.#newest.get(program)!, inbox.task, event)
    // Nobody waits for an answer: saying that it failed could start the next round of the loop.
    this.#discard(inbox, inputs, reasonOf(tooFar))
    return undefined
  }

  /** Begins no task. */
  #discard(inbox: Inbox, inputs: readonly Input[], reason: Reason) {
    for (const { shared, program } of inputs)
      shared.taken(inbox.task, false, program === undefined ? undefined : { kind: 'discard', reason })
  }

  /** Gives cancellations to the task as which this one goes on. False when it goes on as none. */
  async #follow(inbox: Inbox, inputs: readonly Input[]): Promise<boolean> {
    const heir = await heirOf(this.#bus, inbox.task)
    if (heir === undefined) return false
    for (const input of inputs) {
      input.shared.handOn(inbox.task, heir)
      this.#offer(heir, input)
    }
    return true
  }

  async #decide(
    inbox: Inbox,
    deciding: Task,
    inputs: readonly Input[],
    expired: readonly OpenCall[],
    now: number,
  ): Promise<void> {
    const { identity } = deciding
    const expiries = expired
      .filter(call => !inputs.some(({ event }) => event.call === call.id))
      .map(call => expiryOf(call, identity, now))
    const embedded = [...inputs.map(({ event }) => event), ...expiries]
    const seen = await Promise.all(embedded.map(event => this.#bus.resolve(event)))
    const decided = new TurnBuilder(identity, deciding.head + 1, embedded, now)
    const since = inputs.map(({ shared }) => shared.delivery.since)
    using trace = new TurnTrace(this.#bus.driver.name, identity, decided.version, embedded, since)
    const isFirst = deciding.head === 0 && inputs.length > 0 && isFirstOfAll(inputs[0]!)
    using charge = this.#bounds.charge(identity.start.correlationid, isFirst)
    const refused = await this.#bounds.decide(deciding, decided, seen, charge)
    if (refused?.isQuiet) return this.#discard(inbox, inputs, refused.reason)
    const told = refused?.told ? [refused.told] : []
    const { task, builder, turn, turnEntry, events, emitted, wake } = await compose(
      this.#bus,
      {
        task: deciding,
        builder: decided,
        embedded: [...embedded, ...told],
        seen,
        expired,
        own: [...expiries, ...told],
        book: wanted => this.#bounds.book(deciding, wanted, seen, charge),
        before: () => reload(this.#bus, this.#programs, this.#newest, deciding, seen[0]!),
      },
      async wanted => trace.emitted(await this.#replays.governed(identity.start.replay, wanted)),
    )
    task.advance(turn, turnEntry.json.length)
    const snapshot = !builder.end && task.snapshotDue ? task.snapshot() : undefined
    const outcome: DeliveryOutcome = refused ? { kind: 'discard', reason: refused.reason } : { kind: 'done' }
    const settling = inputs.filter(input => input.shared.last)
    const settle = settling.map(input => ({ delivery: input.shared.delivery, outcome }))
    if (inbox.lost) return
    charge.commits()
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
      this.#hot.delete(identity.task)
      if (++inbox.conflicts > maxConflicts)
        throw new TidingsError('E_LOG_UNAVAILABLE', 'another worker decides for this task', { retryable: true })
      inbox.queue.unshift(...inputs)
      return
    }
    inbox.conflicts = 0
    charge.accepted()
    trace.accepted(emitted, settle, builder.end)
    for (const input of inputs) input.shared.taken(inbox.task, settling.includes(input))
    // Running executors hear it at once; the event itself is for those that still queue.
    for (const event of builder.events) if (event.type === 'call.cancelled') this.#bus.driver.sendSignal(event)
    if (builder.end) this.#hot.delete(identity.task)
    else this.#keep(task)
  }

  #keep(task: Task) {
    const id = task.identity.task
    this.#hot.delete(id)
    if (task.end) return
    this.#hot.set(id, task)
    if (this.#hot.size > this.#hotTasks) this.#hot.delete(this.#hot.keys().next().value!)
  }

  #lose(shard: number) {
    const { shards } = this.#bus.driver
    const gone = (id: string) => shardOf(correlationOf(id), shards) === shard
    this.#bounds.forget(shard)
    for (const [id, inbox] of this.#inboxes) {
      if (!gone(id)) continue
      inbox.lost = true
      this.#inboxes.delete(id)
    }
    for (const id of this.#hot.keys()) if (gone(id)) this.#hot.delete(id)
  }
}
