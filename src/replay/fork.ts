import { TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import type { Bus } from '../bus/bus.ts'
import { taskId, turnId } from '../bus/ids.ts'
import { deniedType, grantedType } from '../tasks/approval.ts'
import { forkType, type Fork } from '../tasks/fork.ts'
import { byCommandLine, startReplayRun, type ResolvedEffects } from './effects.ts'
import { readTurnHistory } from './history.ts'

export interface ForkFrom {
  readonly task: string
  /** First turn that is decided again, counted from 1. One more than the task has: continue with what it waits for. */
  readonly version: number
  /** Replacement data for inputs of that turn, by event id. */
  readonly edits?: Readonly<Record<string, unknown>>
  /** Repeats all calls that the task waits for, also those with a recorded answer. */
  readonly reissue?: boolean
}

export interface ForkPlan {
  readonly from: ForkFrom
  readonly program: string
  readonly fork: Fork
  /** Answers that arrived later or that no turn took. The fork begins with them. */
  readonly adopted: readonly CloudEvent[]
}

/** @throws E_NOT_FOUND, E_USAGE if an edit names an event that is not an input of the turn */
export async function planFork(bus: Bus, from: ForkFrom): Promise<ForkPlan> {
  const { program, start, state, turns, inputs, open, answers } = await readTurnHistory(bus, from.task, from.version)
  // An approval covers the original task only.
  const adopted = from.reissue ? [] : answers.filter(({ type }) => type !== grantedType && type !== deniedType)
  const edit = editing(bus, from.edits ?? {}, [...inputs, ...adopted])
  const decided = [...inputs, ...adopted].map(edit)
  const answered = new Set(decided.map(({ call }) => call))
  const reissue: CloudEvent[] = []
  for (const [id, asked] of open) {
    // A fork repeats a call under a new idempotency key.
    const { retryof: _, ...request } = asked
    if (!answered.has(id)) reissue.push(request)
  }
  const fork: Fork = { start: edit(start), turns, inputs: decided, reissue, ...(state !== undefined && { state }) }
  return { from, program, fork, adopted }
}

/** Publishes the fork. A worker then starts the new task. @throws E_EVENT_TOO_LARGE */
export async function publishFork(
  bus: Bus,
  plan: ForkPlan,
  kind: 'fork' | 'redrive',
  ruled: ResolvedEffects,
  origin = byCommandLine,
) {
  const { program, fork, from } = plan
  const { task, version } = from
  const { tenant, user, hops, id } = fork.start
  const run = await startReplayRun(bus, { kind, of: { task, version }, ...ruled }, origin)
  const { id: correlation, replay } = run
  await bus.publish({
    id: replay,
    type: forkType,
    source: origin.source,
    subject: `${task}@${version}`,
    target: program,
    tenant,
    correlationid: correlation,
    causationid: version > 1 ? turnId(task, version - 1) : id,
    hops,
    replay,
    data: fork,
    ...(user !== undefined && { user }),
  })
  return { ...run, correlation, task: taskId(correlation, program, replay) }
}

function editing(bus: Bus, edits: Readonly<Record<string, unknown>>, inputs: readonly CloudEvent[]) {
  const ids = inputs.map(({ id }) => id)
  for (const id of Object.keys(edits))
    if (!ids.includes(id))
      throw new TidingsError(
        'E_USAGE',
        `event "${id}" is not an input of that turn; its inputs: ${ids.join(', ') || 'none'}`,
      )
  return (event: CloudEvent): CloudEvent =>
    Object.hasOwn(edits, event.id) ? bus.redactor.event({ ...event, data: edits[event.id] }) : event
}
