import { TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import type { Bus } from '../bus/bus.ts'
import { correlationOf, parseId, retryId, taskId, turnId } from '../bus/ids.ts'
import type { EarlierCall } from '../tasks/earlier-calls.ts'
import { askTarget } from '../tasks/asked.ts'
import { retryType, type Fork } from '../tasks/fork.ts'
import { callOutcome } from '../tasks/outcome.ts'
import { isTombstone } from '../tasks/load.ts'
import { readNewestTurns } from '../tasks/newest-turns.ts'
import type { TaskEnd, Turn } from '../tasks/program.ts'
import { answerTypes } from '../tasks/rules.ts'
import { refusedType } from '../tasks/engine-answers.ts'
import { readTurnHistory, type TurnHistory } from './history.ts'
import { RecordedJournal } from './journal.ts'

/*
 * The successor of a failed task. It has the history of the failed task up to the last turn, which it decides again. See
 * docs/decisions/0014-retry.md.
 *
 *     turns before the last ─▶ copied            inputs of the last turn ─┬─ successful answers ─▶ decided on again
 *     answers that no turn took ─▶ copied                                 └─ failed calls ─▶ repeated with the same keys
 */

export interface RetryPlan {
  readonly of: string
  readonly program: string
  readonly fork: Fork
  /** The event with the outcome of the task. */
  readonly ending: CloudEvent
  /** Answers that no turn took. The successor begins with them. */
  readonly adopted: readonly CloudEvent[]
  /** Failed tasks of other agents that are retried too. */
  readonly children: readonly string[]
  /** Whether a caller waited for the task and got its answer. */
  readonly callerAnswered: boolean
}

/**
 * Why a workflow instance cannot be retried; undefined if it can, and for other tasks.
 * @param failed whether a call of its last turn failed
 */
export type CheckWorkflow = (program: string, fork: Fork, failed: boolean) => Promise<RetryProblem | undefined>

export interface RetryProblem {
  readonly why: string
  /** The instance has undone its steps. */
  readonly isUndone?: true
}

/** An `agent.retry`, and the task that it starts. */
interface Retry {
  readonly event: CloudEvent
  readonly successor: string
  /** The retry was cancelled before its task began. */
  readonly isWithdrawn: boolean
}

/** The newest turn of each task of a correlation, and the requested retries. */
export class CorrelationTasks {
  readonly #bus: Bus
  readonly #turns: ReadonlyMap<string, Turn>
  readonly #retries: readonly Retry[]

  private constructor(bus: Bus, turns: ReadonlyMap<string, Turn>, retries: readonly Retry[]) {
    this.#bus = bus
    this.#turns = turns
    this.#retries = retries
  }

  static async read(bus: Bus, correlation: string): Promise<CorrelationTasks> {
    const turns = await readNewestTurns(bus, correlation)
    const retries: Retry[] = []
    for await (const { event } of bus.read({ correlation })) {
      if (event.type !== retryType || event.target === undefined) continue
      const successor = taskId(correlation, event.target, event.id)
      const turn = turns.get(successor)
      const isWithdrawn = turn ? isUnbegun(turn) : await hasNotBegun(bus, event, successor)
      retries.push({ event, successor, isWithdrawn })
    }
    return new CorrelationTasks(bus, turns, retries)
  }

  get(task: string): Turn | undefined {
    return this.#turns.get(task)
  }

  /** The task that retries a failed one, also if it has not begun yet. */
  successorOf(task: string): string | undefined {
    return this.#retries.find(({ event, isWithdrawn }) => event.retryof === task && !isWithdrawn)?.successor
  }

  /** Like `successorOf`, but includes a retry that was cancelled before its task began. `by`: the source of the retry. */
  retriedAs(task: string): { readonly task: string; readonly by: string } | undefined {
    const live = this.#retries.find(({ event, isWithdrawn }) => event.retryof === task && !isWithdrawn)
    const retry = live ?? this.#retries.find(({ event }) => event.id === retryId(task))
    return retry && { task: retry.successor, by: retry.event.source }
  }

  predecessorOf(task: string): string | undefined {
    return this.#retries.find(({ successor }) => successor === task)?.event.retryof
  }

  /** A successor that has not begun and will retry this task as one of its calls. */
  async pendingWith(task: string): Promise<string | undefined> {
    for (const { event, successor, isWithdrawn } of this.#retries)
      if (
        !isWithdrawn &&
        !this.#turns.has(successor) &&
        includesRetryOf((await this.#bus.resolve(event)).data as Fork, task)
      )
        return successor
    return undefined
  }
}

const isUnbegun = ({ version, inputs }: Turn) => version === 1 && isTombstone(inputs[0])

/** Whether a retry without a turn was cancelled, so that its task never begins. */
async function hasNotBegun(bus: Bus, { id, correlationid }: CloudEvent, successor: string): Promise<boolean> {
  // A settled retry without a turn may have begun since `newestTurns` was read.
  if (!(await bus.isCallSettled(id))) return false
  const first = await bus.get(turnId(successor, 1), correlationid)
  return !first || isUnbegun((await bus.resolve(first)).data as Turn)
}

const includesRetryOf = ({ reissue, retries = {}, again = [] }: Fork, task: string): boolean =>
  reissue.some(({ id, retryof }) => retries[id] && (retryof === task || includesRetryOf(retries[id], task))) ||
  again.some(({ retry }) => retry && (retry.of === task || includesRetryOf(retry.fork, task)))

/** The instance has undone its steps, so it can start from the beginning without repeating effects. */
class UndoneInstance extends TidingsError {}

/** Plans the retries of the tasks of one correlation. */
export class RetryPlanner {
  readonly #bus: Bus
  readonly #tasks: CorrelationTasks
  readonly #checkWorkflow: CheckWorkflow

  constructor(bus: Bus, tasks: CorrelationTasks, checkWorkflow: CheckWorkflow) {
    this.#bus = bus
    this.#tasks = tasks
    this.#checkWorkflow = checkWorkflow
  }

  /** The retry of a task that has failed or was cancelled. @throws E_NOT_FOUND, E_RETRY_REFUSED */
  async plan(task: string): Promise<RetryPlan> {
    const journal = await RecordedJournal.read(this.#bus, task)
    const { newest } = journal
    const { version, end } = newest
    if (end !== 'failed' && end !== 'cancelled')
      throw retryRefused(`task ${task} cannot be retried: it ${end === undefined ? 'has not ended' : `is ${end}`}`)
    const predecessor = isUnbegun(newest) ? this.#tasks.predecessorOf(task) : undefined
    if (predecessor !== undefined) return this.#planAgain(task, journal, predecessor)
    const history = await readTurnHistory(this.#bus, task, version, journal)
    const ending = endingOf(task, history.emitted, end)
    if (isUnbegun(newest))
      throw retryRefused(`task ${task} was cancelled before it began: publish its start event again`)
    const { program } = history
    const { failed, ...planned } = await this.#buildFork(task, history, newest)
    const problem = await this.#checkWorkflow(program, planned.fork, failed)
    if (problem) {
      const why = `task ${task} of the workflow ${program} ${problem.why}`
      throw problem.isUndone ? new UndoneInstance('E_RETRY_REFUSED', why) : retryRefused(why)
    }
    return { of: task, program, ending, ...planned, callerAnswered: ending.call !== undefined }
  }

  /** A successor that was cancelled before it began: another retry of its predecessor. */
  async #planAgain(task: string, journal: RecordedJournal, predecessor: string): Promise<RetryPlan> {
    const other = this.#tasks.successorOf(predecessor)
    if (other !== undefined)
      throw retryRefused(
        `task ${task} was cancelled before it began, and task ${other} retries its predecessor instead`,
      )
    const ending = endingOf(task, (await journal.turn(1)).emitted, 'cancelled')
    return { ...(await this.plan(predecessor)), of: task, ending }
  }

  async #buildFork(task: string, history: TurnHistory, { programHash }: Turn) {
    const { start, state, turns, inputs, open, answers, asked, again, emitted } = history
    const isToBlame = inputs.some(isFailure) || !failedOnModelAnswer(emitted) ? isFailure : isOfModel
    const taken = inputs.filter(input => !isToBlame(input) && !endingTypes.includes(input.type))
    const adopted = firstOfEachCall(answers.filter(answer => !isFailure(answer)))
    const failed = taken.length < inputs.length
    const answered = new Set([...taken, ...adopted].map(({ call }) => call))
    const reissue: CloudEvent[] = []
    const retries: Record<string, Fork> = {}
    const children: string[] = []
    for (const [id, request] of open) {
      if (answered.has(id)) continue
      if (request.type !== 'agent.invoke') {
        const key = asked.get(id)?.key ?? request.retryof
        reissue.push(key === undefined ? request : { ...request, retryof: key })
        continue
      }
      const { retryof, ...plain } = request
      const made = asked.get(id)?.id
      const child = made === undefined ? retryof : taskId(correlationOf(task), request.target!, made)
      const next = child === undefined ? undefined : await this.#planChild(child)
      if (next && 'answer' in next) {
        adopted.push({ ...next.answer, call: id })
        continue
      }
      reissue.push(next ? { ...plain, retryof: next.of } : plain)
      if (!next) continue
      retries[id] = next.fork
      children.push(next.of, ...next.children)
    }
    const fork: Fork = {
      start,
      turns,
      inputs: [...taken, ...adopted],
      reissue,
      ...(state !== undefined && { state }),
      ...(children.length > 0 && { retries }),
      ...(again.length > 0 && { again: await this.#withChildRetries(task, again) }),
      definition: turns[0]?.turn.programHash ?? programHash,
    }
    return { fork, adopted, children, failed }
  }

  /** Adds to each agent call that may be repeated the retry of the task that it had started. */
  async #withChildRetries(task: string, made: readonly EarlierCall[]): Promise<EarlierCall[]> {
    const again: EarlierCall[] = []
    for (const { retry: _, ...call } of made) {
      const isAgent = call.type === 'agent.invoke'
      const next = isAgent && (await this.#planChild(taskId(correlationOf(task), call.target, call.id)))
      const isAnswered = next && 'answer' in next
      if (isAnswered && this.#hasCalled(next.answer))
        throw retryRefused(
          `task ${task} called ${call.target} in its failed turn, and that task has completed: a retry would do its work twice. Start it from the beginning, with its input or with \`tidings redrive\``,
        )
      again.push(next && !isAnswered ? { ...call, retry: { of: next.of, fork: next.fork } } : call)
    }
    return again
  }

  #hasCalled({ id }: CloudEvent): boolean {
    return (this.#tasks.get(parseId(id)!.task)?.spent?.calls ?? 1) > 0
  }

  /** The answer of a called task, or its retry plan. Undefined if it can start from the beginning without repeating effects. */
  async #planChild(child: string): Promise<{ answer: CloudEvent } | RetryPlan | undefined> {
    const tasks = this.#tasks
    let [task, turn] = [child, tasks.get(child)]
    for (let next: string | undefined; turn; [task, turn] = [next, tasks.get(next)]) {
      next = turn.end === 'continued' ? turn.successor : tasks.successorOf(task)
      if (next === undefined) break
    }
    if (!turn || isUnbegun(turn)) {
      const before = tasks.predecessorOf(task)
      // The retry was cancelled before its task began.
      if (before !== undefined && tasks.successorOf(before) !== task) return this.#planChild(before)
      if (task === child && before === undefined) return undefined
    }
    if (turn?.end === undefined)
      throw retryRefused(`task ${task}, which it had called, has not ended: retry after it has ended`, true)
    if (turn.end === 'completed') {
      const { emitted } = await (await RecordedJournal.read(this.#bus, task)).turn(turn.version)
      return { answer: emitted.findLast(({ type }) => type === 'agent.task.completed')! }
    }
    try {
      return await this.plan(task)
    } catch (error) {
      if (error instanceof UndoneInstance) return undefined
      throw error
    }
  }
}

function endingOf(task: string, emitted: readonly CloudEvent[], end: TaskEnd): CloudEvent {
  const ending = emitted.findLast(({ type }) => type === `agent.task.${end}`)
  if (!ending) throw retryRefused(`the end of task ${task} is no longer on the log`)
  return ending
}

/** A repeated call may have two answers: keeps the first. */
const firstOfEachCall = (answers: readonly CloudEvent[]) =>
  answers.filter(({ call }, i) => answers.findIndex(other => other.call === call) === i)

/**
 * Publishes the retry, with which a worker starts the successor. `source`: who retries. `isNew`: it was not published before.
 * @throws E_EVENT_TOO_LARGE
 */
export async function publishRetry(bus: Bus, { of, program, fork, ending }: RetryPlan, source: string) {
  const { tenant, user, hops } = fork.start
  // Who asked reads the new end under the id that it knows.
  const caller = ending.target === askTarget && { replyto: askTarget, call: ending.call! }
  const correlationid = correlationOf(of)
  const id = retryId(of)
  const { duplicate } = await bus.publish({
    id,
    type: retryType,
    source,
    target: program,
    tenant,
    correlationid,
    causationid: ending.id,
    hops,
    retryof: of,
    data: fork,
    ...caller,
    ...(user !== undefined && { user }),
    ...(ending.replay !== undefined && { replay: ending.replay }),
  })
  return { task: taskId(correlationid, program, id), isNew: !duplicate }
}

/** Inputs by which the runtime ends a task. */
const endingTypes: readonly string[] = ['agent.cancel', refusedType]

const isFailure = (answer: CloudEvent): boolean =>
  (answerTypes.includes(answer.type) || answer.type === 'call.expired') &&
  answer.call !== undefined &&
  'error' in callOutcome(answer)

const isOfModel = ({ type }: CloudEvent) => type === 'model.result'

const answerErrors: readonly string[] = [
  'E_MODEL_OUTPUT', 'E_MODEL_LENGTH', 'E_MODEL_FILTERED', 'E_MODEL_REFUSED', 'E_MODEL_EMPTY', 'E_MODEL_UNFINISHED',
] // biome-ignore format: one list

/** Whether the task failed because of an answer of its model. Deciding on the same answer would fail again. */
const failedOnModelAnswer = (emitted: readonly CloudEvent[]): boolean =>
  emitted.some(event => {
    const outcome = event.type === 'agent.task.failed' && callOutcome(event)
    return outcome && 'error' in outcome && answerErrors.includes(outcome.error.code)
  })

export const retryRefused = (why: string, retryable = false) => new TidingsError('E_RETRY_REFUSED', why, { retryable })
