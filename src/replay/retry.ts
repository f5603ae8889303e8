import { TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import type { Bus } from '../bus/bus.ts'
import { correlationOf, parseId, retryId, taskId } from '../bus/ids.ts'
import { retryType, type Fork } from '../tasks/fork.ts'
import { outcomeOf } from '../tasks/outcome.ts'
import type { Turn } from '../tasks/program.ts'
import { answerTypes } from '../tasks/rules.ts'
import { refusedType } from '../tasks/turn.ts'
import { historyOf, type History } from './history.ts'
import { Journal } from './journal.ts'

/*
 * The successor of a task that failed: its history is that of the failed one up to its last turn, which is decided once more. See
 * docs/decisions/0014-retry.md.
 *
 *     turns before the last ─▶ taken over            inputs of the last turn ─┬─ what succeeded ─▶ decided on again
 *     answers that nobody took ─▶ taken over                                  └─ what failed ─▶ asked again, with the keys that it had
 */

export interface RetryPlan {
  readonly of: string
  readonly program: string
  readonly fork: Fork
  /** The event that says how the task ended. */
  readonly ending: CloudEvent
  /** Answers that nobody took, and with which the successor begins. */
  readonly adopted: readonly CloudEvent[]
  /** Tasks of other agents, which failed and go on too. */
  readonly children: readonly string[]
  /** Whether somebody waited for the task and was answered. */
  readonly callerAnswered: boolean
}

/** Why an instance of a workflow cannot go on; undefined where it can, and for all other tasks. `failed`: whether a call of its last turn did. */
export type Fits = (program: string, fork: Fork, failed: boolean) => Promise<string | undefined>

/** The newest turn of each task of a correlation. */
export class Tasks {
  readonly #turns: ReadonlyMap<string, CloudEvent<Turn>>

  private constructor(turns: ReadonlyMap<string, CloudEvent<Turn>>) {
    this.#turns = turns
  }

  static async read(bus: Bus, correlation: string): Promise<Tasks> {
    const turns = new Map<string, CloudEvent<Turn>>()
    for (const event of await bus.driver.newestTurns(correlation))
      turns.set(parseId(event.id)!.task, (await bus.resolve(event)) as CloudEvent<Turn>)
    return new Tasks(turns)
  }

  get(task: string): Turn | undefined {
    return this.#turns.get(task)?.data
  }

  /** The task that goes on from one that failed, as far as it has begun. */
  successorOf(task: string): string | undefined {
    for (const [id, { data }] of this.#turns) if (data.retryOf === task) return id
    return undefined
  }
}

/** What a retry of a task that has ended would be. @throws E_NOT_FOUND, E_RETRY_REFUSED */
export async function planRetry(bus: Bus, task: string, tasks: Tasks, fits: Fits): Promise<RetryPlan> {
  const journal = await Journal.read(bus, task)
  const { version, end } = journal.newest
  if (end !== 'failed' && end !== 'cancelled')
    throw refused(`task ${task} has not failed: it ${end === undefined ? 'has not ended' : `is ${end}`}`)
  const history = await historyOf(bus, task, version, journal)
  const ending = history.emitted.findLast(({ type }) => type === `agent.task.${end}`)
  if (history.inputs[0]?.type === 'agent.cancel' && version === 1)
    throw refused(`task ${task} was cancelled before it began: publish what was to start it once more`)
  if (!ending) throw refused(`the end of task ${task} is no longer on the log`)
  const planned = await forkOf(bus, task, history, journal.newest, tasks, fits)
  const why = await fits(history.program, planned.fork, planned.failed)
  if (why !== undefined) throw refused(`task ${task} of the workflow ${history.program} ${why}`)
  const { fork, adopted, children } = planned
  const callerAnswered = ending.call !== undefined
  return { of: task, program: history.program, fork, ending, adopted, children, callerAnswered }
}

/** Publishes it. The successor begins when a worker takes it. `isNew`: nobody else did so before. @throws E_EVENT_TOO_LARGE */
export async function publishRetry(bus: Bus, { of, program, fork, ending }: RetryPlan) {
  const { tenant, user, hops } = fork.start
  const correlationid = correlationOf(of)
  const id = retryId(of)
  const { duplicate } = await bus.publish({
    id,
    type: retryType,
    source: '/cli',
    target: program,
    tenant,
    correlationid,
    causationid: ending.id,
    hops,
    retryof: of,
    data: fork,
    ...(user !== undefined && { user }),
    ...(ending.replay !== undefined && { replay: ending.replay }),
  })
  return { task: taskId(correlationid, program, id), isNew: !duplicate }
}

async function forkOf(
  bus: Bus,
  task: string,
  { start, state, turns, inputs, open, answers, asked, again }: History,
  { programHash }: Turn,
  tasks: Tasks,
  fits: Fits,
) {
  const taken = inputs.filter(input => !isFailure(input) && !ofTheEnd.includes(input.type))
  const adopted = answers.filter(answer => !isFailure(answer))
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
    const next = child === undefined ? undefined : await childOf(bus, child, made, tasks, fits)
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
    ...(again.length > 0 && { again }),
    definition: turns[0]?.turn.programHash ?? programHash,
  }
  return { fork, adopted, children, failed }
}

/** How the task of a call goes on: what it gave, or from where. Undefined where it begins anew. */
async function childOf(
  bus: Bus,
  child: string,
  request: string | undefined,
  tasks: Tasks,
  fits: Fits,
): Promise<{ answer: CloudEvent } | { of: string; fork: Fork; children: readonly string[] } | undefined> {
  let task = child
  for (let turn = tasks.get(task); turn; turn = tasks.get(task)) {
    const next = turn.end === 'continued' ? turn.successor : tasks.successorOf(task)
    if (next === undefined) break
    task = next
  }
  const turn = tasks.get(task)
  if (!turn) {
    // It was asked to go on, and did not begin: what it would have gone on from is in that request.
    const asking = request === undefined ? undefined : await bus.get(request, correlationOf(child))
    if (asking?.type !== retryType) return undefined
    return { of: asking.retryof!, fork: (await bus.resolve(asking)).data as Fork, children: [] }
  }
  const isUnderWay = turn.end === undefined || (await bus.get(retryId(task), correlationOf(task))) !== undefined
  if (isUnderWay)
    throw refused(`task ${task} of ${turn.program}, which it had asked, has not ended yet: try again when it has`, true)
  if (turn.end === 'completed') {
    const { emitted } = await (await Journal.read(bus, task)).turn(turn.version)
    return { answer: emitted.findLast(({ type }) => type === 'agent.task.completed')! }
  }
  try {
    return await planRetry(bus, task, tasks, fits)
  } catch (error) {
    // An instance that has undone what it did, and a task that never began, begin anew.
    if (error instanceof TidingsError && error.code === 'E_RETRY_REFUSED' && !error.retryable) return undefined
    throw error
  }
}

/** What the runtime told a task so that it ends. */
const ofTheEnd: readonly string[] = ['agent.cancel', refusedType]

const isFailure = (answer: CloudEvent): boolean =>
  (answerTypes.includes(answer.type) || answer.type === 'call.expired') &&
  answer.call !== undefined &&
  'error' in outcomeOf(answer)

export const refused = (why: string, retryable = false) => new TidingsError('E_RETRY_REFUSED', why, { retryable })
