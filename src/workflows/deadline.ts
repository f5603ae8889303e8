import { deadlineFrom, milliseconds, type Timeout } from '../tasks/duration.ts'
import type { Instruction } from './compile.ts'
import { moments } from './match.ts'
import type { State } from './state.ts'

/** The next moment at which time changes something for an instance that stands here; undefined when none does. */
export function deadlineOf(state: State, here: Instruction | undefined): number | undefined {
  if (state.ended || state.ending) return undefined
  const all: (number | null | undefined)[] = [state.ends]
  const { wait } = state
  if (wait?.kind === 'when' && here?.op === 'when')
    all.push(deadlineFrom(wait.since, here.step.within), ...moments(here.node, wait))
  else if (wait?.kind === 'wait') all.push(wait.until)
  else if (wait?.kind === 'approve') all.push(wait.remindAt)
  const set = all.filter(moment => typeof moment === 'number')
  return set.length > 0 ? Math.min(...set) : undefined
}

export const inMs = (bound: Timeout) => (bound === 'forever' ? bound : milliseconds(bound))
export const isPast = (moment: number | null, now: number) => moment !== null && moment <= now
/** In ms since the epoch; NaN where it is none that a clock can show. */
export const momentOf = (value: unknown) =>
  typeof value === 'number' || typeof value === 'string' ? new Date(value).getTime() : NaN
