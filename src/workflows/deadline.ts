import { deadlineFrom } from '../tasks/duration.ts'
import type { Instruction } from './compile.ts'
import { absenceDeadlines } from './match.ts'
import type { InstanceState } from './state.ts'

/** The next time at which a timer must wake the instance; undefined if there is none. */
export function nextDeadline(state: InstanceState, here: Instruction | undefined): number | undefined {
  if (state.ended || state.ending) return undefined
  const all: (number | null | undefined)[] = [state.ends]
  const { wait } = state
  if (wait?.kind === 'when' && here?.op === 'when')
    all.push(deadlineFrom(wait.since, here.step.within), ...absenceDeadlines(here.node, wait))
  else if (wait?.kind === 'wait') all.push(wait.until)
  else if (wait?.kind === 'approve') all.push(wait.remindAt)
  const set = all.filter(moment => typeof moment === 'number')
  return set.length > 0 ? Math.min(...set) : undefined
}

export const hasPassed = (moment: number | null, now: number) => moment !== null && moment <= now
/** In ms since the epoch; NaN if the value is not a valid time. */
export const parseMoment = (value: unknown) =>
  typeof value === 'number' || typeof value === 'string' ? new Date(value).getTime() : NaN
