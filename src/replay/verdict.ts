import type { AcceptedDivergences } from './accept.ts'
import type { ReplayOutcome } from './replayer.ts'

/** Exit codes of `tidings replay`. If the replay cannot run, the code is 2. */
export const exitCodes = { same: 0, diverged: 1, nothing: 3, incomplete: 4 } as const

export type ReplayVerdict = keyof typeof exitCodes

/** Requirements of a CI gate. */
export interface GateRequirements {
  readonly accepted: AcceptedDivergences
  /** Minimum number of replayed tasks. */
  readonly atLeast?: number | undefined
}

/** Differences take precedence over a replay that covers too little. */
export function replayVerdict(
  { divergences, skipped, tasks }: ReplayOutcome,
  { accepted, atLeast = 0 }: GateRequirements,
): ReplayVerdict {
  if (divergences.some(each => !accepted.accepts(each))) return 'diverged'
  if (tasks < atLeast) return 'nothing'
  if (skipped.length > 0) return 'incomplete'
  return tasks === 0 ? 'nothing' : 'same'
}
