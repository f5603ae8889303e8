import type { AcceptedDivergences } from './accept.ts'
import type { ReplayOutcome } from './replayer.ts'

/** What a replay comes to, as the exit code of `tidings replay`. A replay that could not be made is an error, 2. */
export const exitCodes = { same: 0, diverged: 1, nothing: 3, incomplete: 4 } as const

export type ReplayVerdict = keyof typeof exitCodes

/** What a gate asks of an outcome. */
export interface GateRequirements {
  readonly accepted: AcceptedDivergences
  /** Tasks that must have been replayed, at least. */
  readonly atLeast?: number | undefined
}

/** A difference first, then whether enough was replayed to tell. */
export function replayVerdict(
  { divergences, skipped, tasks }: ReplayOutcome,
  { accepted, atLeast = 0 }: GateRequirements,
): ReplayVerdict {
  if (divergences.some(each => !accepted.accepts(each))) return 'diverged'
  if (tasks < atLeast) return 'nothing'
  if (skipped.length > 0) return 'incomplete'
  return tasks === 0 ? 'nothing' : 'same'
}
