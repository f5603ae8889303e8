import type { Position } from '../bus/driver.ts'
import type { ProgramVersion } from '../tasks/program.ts'
import { digest } from '../tasks/turn.ts'
import type { Change, Difference } from './compare.ts'
import type { LoggedTurn } from './turn-assembler.ts'
import type { Hint } from './nondeterminism.ts'

/** One difference between a recorded turn and the decision of today's code. */
export interface Divergence {
  readonly kind: Difference['kind'] | 'state' | 'threw'
  readonly task: string
  readonly program: string
  /** Version of the turn in its task, and its position on the log. */
  readonly turn: number
  readonly position: Position
  /** What differs, such as `tool.invoke web.search`. */
  readonly what: string
  readonly changes: readonly Change[]
  /** Data of an added or removed event. */
  readonly data?: unknown
  /** Text of the thrown error. */
  readonly error?: string
  /** Where today's code made the call or threw, as `path:line:column`. */
  readonly sourceLocation?: string
  /** Non-deterministic calls that the code of the task made up to this turn. */
  readonly hints?: readonly Hint[]
  readonly recordedBy: ProgramVersion
  readonly replayedBy: ProgramVersion
  /** Equal for all divergences of the same program, kind, event and paths. */
  readonly signature: string
}

/** The part of a divergence that is known before the turn is compared. */
export type DivergenceContext = Omit<
  Divergence,
  'signature' | 'what' | 'changes' | 'kind' | 'data' | 'error' | 'sourceLocation' | 'hints'
>

/** @param replayedBy the code that decides the turn today */
export const divergenceContext = (
  { task, turn, position }: LoggedTurn,
  replayedBy: ProgramVersion,
): DivergenceContext => ({
  task,
  program: turn.program,
  turn: turn.version,
  position,
  recordedBy: { version: turn.programVersion, hash: turn.programHash },
  replayedBy,
})

export function emitDivergence(context: DivergenceContext, difference: Difference, location?: string): Divergence {
  const { kind } = difference
  const { type, target, data } = 'before' in difference ? difference.before : difference.after
  const what = target === undefined ? type : `${type} ${target}`
  if (kind === 'added' || kind === 'removed') return divergence(context, { kind, what, changes: [], data }, location)
  return divergence(context, { kind, what, changes: kind === 'changed' ? difference.changes : [] }, location)
}

export const stateDivergence = (context: DivergenceContext, changes: readonly Change[], location?: string) =>
  divergence(context, { kind: 'state', what: 'state', changes }, location)

export const thrownDivergence = (context: DivergenceContext, error: string, location?: string) =>
  divergence(context, { kind: 'threw', what: 'the program', changes: [], error }, location)

/** The signature ignores the task, the values and list indices. */
function divergence(
  context: DivergenceContext,
  found: Pick<Divergence, 'kind' | 'what' | 'changes' | 'data' | 'error'>,
  sourceLocation: string | undefined,
): Divergence {
  const { kind, what, changes, error = '' } = found
  const paths = new Set(changes.map(({ path }) => pathPattern(path)))
  const parts = [context.program, kind, what, [...paths].toSorted(), error.replace(/\d+/g, '#')]
  const signature = digest(parts).slice(0, 10)
  return { ...context, ...found, ...(sourceLocation !== undefined && { sourceLocation }), signature }
}

/** `data.items.3.name` */
export const pathText = (path: Change['path']) => path.join('.') || '(the whole)'

/** A path with `*` for list indices. */
export const pathPattern = (path: Change['path']) => path.map(key => (typeof key === 'number' ? '*' : key)).join('.')
