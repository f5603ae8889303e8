import { TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import type { Bus } from '../bus/bus.ts'
import { taskId, turnId } from '../bus/ids.ts'
import { deniedType, grantedType } from '../tasks/approval.ts'
import { forkType, type Fork } from '../tasks/fork.ts'
import type { ResolvedEffects } from './effects.ts'
import { readHistory } from './history.ts'
import { newReplayRun, storeEffectPolicy, type ReplayRun } from './replay-run.ts'

export interface ForkFrom {
  readonly task: string
  /** The turn that is decided anew, from 1; one more than the task has: what it waits for now. */
  readonly version: number
  /** Other data for inputs of that turn, by their ids. */
  readonly edits?: Readonly<Record<string, unknown>>
  /** Asks again whatever the task waits for, also where the answer is known. */
  readonly reissue?: boolean
}

export interface ForkPlan {
  readonly from: ForkFrom
  readonly program: string
  readonly fork: Fork
  /** Answers that came later, or that nobody took, and which the fork begins with. */
  readonly adopted: readonly CloudEvent[]
}

export interface Forked extends ReplayRun {
  readonly correlation: string
  readonly task: string
}

/** What a fork would be. @throws E_NOT_FOUND, E_USAGE where an edit fits no input */
export async function planFork(bus: Bus, from: ForkFrom): Promise<ForkPlan> {
  const { program, start, state, turns, inputs, open, answers } = await readHistory(bus, from.task, from.version)
  // What was granted then was not granted to the fork.
  const adopted = from.reissue ? [] : answers.filter(({ type }) => type !== grantedType && type !== deniedType)
  const edit = editing(bus, from.edits ?? {}, [...inputs, ...adopted])
  const decided = [...inputs, ...adopted].map(edit)
  const answered = new Set(decided.map(({ call }) => call))
  const reissue = [...open].filter(([id]) => !answered.has(id)).map(([, request]) => withoutKeys(request))
  const fork: Fork = { start: edit(start), turns, inputs: decided, reissue, ...(state !== undefined && { state }) }
  return { from, program, fork, adopted }
}

/** Publishes it: the new task begins when a worker takes it. @throws E_EVENT_TOO_LARGE */
export async function publishFork(
  bus: Bus,
  plan: ForkPlan,
  kind: 'fork' | 'redrive',
  ruled: ResolvedEffects,
): Promise<Forked> {
  const { program, fork, from } = plan
  const { task, version } = from
  const { tenant, user, hops, id } = fork.start
  const marked = newReplayRun(kind)
  const { id: correlation, replay: mark } = marked
  await storeEffectPolicy(bus, marked, { task, version }, ruled)
  await bus.publish({
    id: mark,
    type: forkType,
    source: '/cli',
    subject: `${task}@${version}`,
    target: program,
    tenant,
    correlationid: correlation,
    causationid: version > 1 ? turnId(task, version - 1) : id,
    hops,
    replay: mark,
    data: fork,
    ...(user !== undefined && { user }),
  })
  return { ...marked, correlation, task: taskId(correlation, program, mark) }
}

/** What a fork asks is not what was asked then. */
function withoutKeys(asked: CloudEvent): CloudEvent {
  const { retryof: _, ...request } = asked
  return request
}

function editing(bus: Bus, edits: Readonly<Record<string, unknown>>, inputs: readonly CloudEvent[]) {
  const ids = inputs.map(({ id }) => id)
  for (const id of Object.keys(edits))
    if (!ids.includes(id))
      throw new TidingsError('E_USAGE', `${id} is no input of that turn; there are: ${ids.join(', ') || 'none'}`)
  return (event: CloudEvent): CloudEvent =>
    Object.hasOwn(edits, event.id) ? bus.redactor.event({ ...event, data: edits[event.id] }) : event
}
