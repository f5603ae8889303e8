import { pausedOutcome, type Pauses } from '../bus/pauses.ts'
import type { Bus } from '../bus/bus.ts'
import type { DeliveryOutcome } from '../bus/driver.ts'
import { reasonOf, type Reason } from '../bus/reason.ts'
import { routedEventIn, routedType } from '../bus/routed.ts'
import { TurnTrace } from '../bus/telemetry/turn.ts'
import { TidingsError } from '../errors.ts'
import { messageType } from './asked.ts'
import { composeTurn } from './compose.ts'
import { EffectPolicies } from './effects.ts'
import { deadlineOfAsk } from './asked.ts'
import { deadlineCancellation, deadlinePassed, expiredAnswer } from './engine-answers.ts'
import type { EngineOptions } from './engine.ts'
import type { TaskInbox, TaskInput } from './inbox.ts'
import { TaskLoader, tombstone } from './load.ts'
import type { Programs } from './programs.ts'
import {
  cancelledDraft,
  classifyInput,
  discardMisrouted,
  isAnsweredBy,
  isFirstOfCorrelation,
  isFirstStart,
  lateDraft,
  refusal,
  retryLater,
  tenantOf,
} from './rules.ts'
import { endWithoutJournal, shouldStart } from './should-start.ts'
import type { StepRunner } from './steps.ts'
import type { TaskCache } from './task-cache.ts'
import { TaskLimits } from './task-limits.ts'
import type { Task } from './task.ts'
import { TurnBuilder, type OpenCall } from './turn.ts'
import { writeLog } from './turn-log.ts'

/*
 * Decides for one task at a time. If two processes believe that they own its shard, the version check of `commit` accepts one of their turns:
 *
 *     inputs ─▶ load (cache or journal) ─▶ classify inputs ─▶ decide ─▶ commit ─┬─ accepted ─▶ the inputs are settled
 *                                                                               └─ conflict ─▶ evict, load once more
 */

interface DeciderOptions extends EngineOptions {
  /** What the engine has of them. */
  parts: { readonly programs: Programs; readonly cachedTasks: TaskCache; readonly steps: StepRunner }
  /** Queues an input of another task. */
  enqueue(task: string, input: TaskInput): void
}

const maxConflicts = 3

export class TaskDecider {
  readonly #bus: Bus
  readonly #group: string
  readonly #pauses: Pauses
  readonly #programs: Programs
  readonly #loader: TaskLoader
  readonly #limits: TaskLimits
  readonly #effectPolicies: EffectPolicies
  readonly #steps: StepRunner
  readonly #cachedTasks: TaskCache
  readonly #classifyInput: typeof classifyInput
  readonly #now: () => number
  readonly #enqueue: DeciderOptions['enqueue']

  constructor(options: DeciderOptions) {
    const { bus, group, pauses, parts, enqueue } = options
    this.#bus = bus
    this.#group = group
    this.#pauses = pauses
    this.#programs = parts.programs
    this.#cachedTasks = parts.cachedTasks
    this.#steps = parts.steps
    this.#loader = new TaskLoader(bus, parts.programs)
    this.#limits = new TaskLimits({ ...options, keyed: parts.programs.keyed })
    this.#effectPolicies = new EffectPolicies(bus)
    this.#classifyInput = options.classifyInput ?? classifyInput
    this.#now = bus.now
    this.#enqueue = enqueue
  }

  /** Another worker owns the shard now. */
  forget(shard: number): void {
    this.#limits.forget(shard)
  }

  /**
   * Decides on a batch of inputs of one task, and on the waits of the task that have expired if it was `woken`. Every input is either decided
   * on, acknowledged or queued again. @throws what a redelivery may fix: E_TASK_MOVED, E_LOG_UNAVAILABLE
   */
  async process(inbox: TaskInbox, batch: readonly TaskInput[], woken: boolean): Promise<void> {
    const now = this.#now()
    let task = this.#cachedTasks.get(inbox.task)
    // An answer to a turn after the cached one, or a wake-up that the cached task does not expect: another worker decided a turn.
    const isStale = task
      ? batch.some(input => this.#classifyInput(task, input) === 'early') || (woken && !isDue(task, now))
      : woken || inbox.conflicts > 0 || !batch.every(isFirstStart)
    if (isStale) {
      const isCancelled = batch.some(({ event }) => event.type === 'agent.cancel')
      task = await this.#loader.load(inbox.task, isCancelled)
    }
    if (inbox.lost) return
    const inputs: TaskInput[] = []
    const tenant = tenantOf(task, batch)
    for (const input of batch)
      if (input.event.tenant !== tenant) input.shared.acknowledge(inbox.task)
      else if (await this.#accepts(inbox, task, input, inputs)) inputs.push(input)
    // A start comes before its cancellation, whatever the order of delivery.
    if (!task) inputs.sort((a, b) => Number(b.program !== undefined) - Number(a.program !== undefined))
    const agent = task?.identity.program ?? inputs[0]?.program
    if (agent !== undefined && this.#pauses.has('agent', agent)) {
      const outcome = pausedOutcome('agent', agent)
      for (const { shared } of inputs) shared.acknowledge(inbox.task, outcome)
      return
    }
    const dueTask = woken && !task?.end ? task : undefined
    const expired = dueTask?.expired(now, id => inbox.hasAnswer(id)) ?? []
    if (inputs.length === 0 && expired.length === 0 && !(dueTask && isOverdue(dueTask, now))) {
      if (task) this.#cachedTasks.add(task)
      return
    }
    task ??= await this.#startTask(inbox, inputs)
    if (!task) return
    await this.#decideTurn(inbox, task, inputs, expired, now)
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
    const workflow = input.joins && this.#programs.newest.get(program ?? task?.identity.program ?? '')
    // The data of a routed event was checked where it came from.
    const refused =
      kind === 'accept' && workflow && workflow.instances?.check && event.type !== routedType
        ? refusal(workflow, await this.#bus.resolve(event))
        : undefined
    if (refused) {
      shared.acknowledge(id, refused)
      return false
    }
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
    const why = kind === 'reject' ? 'the task was cancelled before it started' : this.#expiry(task, input)
    const cancelled = why !== undefined && cancelledDraft(this.#programs.newest.get(program!)!, event, why)
    if (cancelled) await this.#bus.publish(cancelled)
    if (kind !== 'forward' || !(await this.#forwardToSuccessor(id, [input]))) shared.acknowledge(id)
    return false
  }

  /** Why a request from outside does not begin its task; undefined if its deadline has not passed. */
  #expiry(task: Task | undefined, { event, program }: TaskInput): string | undefined {
    const deadline = task || program === undefined ? null : deadlineOfAsk(event)
    return deadline === null || deadline > this.#now() ? undefined : `${deadlinePassed} before it started`
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

  async #decideTurn(
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
    const version = deciding.head + 1
    if (deciding.head > 0 && isOverdue(deciding, now)) expiries.push(deadlineCancellation(identity, version, now))
    const embedded = [...inputs.map(({ event }) => event), ...expiries]
    const seen = await Promise.all(embedded.map(event => this.#bus.resolve(event)))
    const decided = new TurnBuilder({ identity, version, inputs: embedded, now })
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
      group: this.#group,
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
}

const isOverdue = (task: Task, now: number) => task.deadline !== null && task.deadline <= now
const isDue = (task: Task, now: number) => isOverdue(task, now) || task.expired(now, () => false).length > 0
