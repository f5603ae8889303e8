import type { Position } from '../bus/driver.ts'
import { digest } from '../tasks/turn.ts'
import type { Change, Difference, ComparableEmit } from './compare.ts'
import type { LoggedTurn } from './turn-assembler.ts'
import type { Hint } from './nondeterminism.ts'

export type DivergenceKind = Difference['kind'] | 'state' | 'threw'

/** One difference between a recorded turn and the decision of today's code. */
export interface Divergence {
  readonly kind: DivergenceKind
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
  readonly recordedBy: CodeVersion
  readonly replayedBy: CodeVersion
  /** Equal for all divergences of the same program, kind, event and paths. */
  readonly signature: string
}

export interface CodeVersion {
  readonly version: number
  readonly hash: string
}

/** The part of a divergence that is known before the turn is compared. */
export type DivergenceContext = Omit<
  Divergence,
  'signature' | 'what' | 'changes' | 'kind' | 'data' | 'error' | 'sourceLocation' | 'hints'
>

/** @param replayedBy the code that decides the turn today */
export const divergenceContext = (
  { task, turn, position }: LoggedTurn,
  replayedBy: CodeVersion,
): DivergenceContext => ({
  task,
  program: turn.program,
  turn: turn.version,
  position,
  recordedBy: { version: turn.programVersion, hash: turn.programHash },
  replayedBy,
})

export function emitDivergence(
  context: DivergenceContext,
  difference: Difference,
  sourceLocation: string | undefined,
): Divergence {
  const emit = 'before' in difference ? difference.before : difference.after
  const changes = difference.kind === 'changed' ? difference.changes : []
  return withSignature({
    ...context,
    kind: difference.kind,
    what: nameOf(emit),
    changes,
    ...((difference.kind === 'added' || difference.kind === 'removed') && { data: emit.data }),
    ...(sourceLocation !== undefined && { sourceLocation }),
  })
}

export function stateDivergence(
  context: DivergenceContext,
  changes: readonly Change[],
  sourceLocation: string | undefined,
): Divergence {
  return withSignature({
    ...context,
    kind: 'state',
    what: 'state',
    changes,
    ...(sourceLocation !== undefined && { sourceLocation }),
  })
}

export function thrownDivergence(
  context: DivergenceContext,
  error: string,
  sourceLocation: string | undefined,
): Divergence {
  return withSignature({
    ...context,
    kind: 'threw',
    what: 'the program',
    changes: [],
    error,
    ...(sourceLocation !== undefined && { sourceLocation }),
  })
}

const nameOf = ({ type, target }: ComparableEmit) => (target === undefined ? type : `${type} ${target}`)

/** The signature ignores the task, the values and list indices. */
function withSignature(divergence: Omit<Divergence, 'signature'>): Divergence {
  const { program, kind, what, changes, error } = divergence
  const paths = new Set(changes.map(({ path }) => pathPattern(path)))
  const parts = [program, kind, what, [...paths].toSorted(), error?.replace(/\d+/g, '#') ?? '']
  return { ...divergence, signature: digest(parts).slice(0, 10) }
}

/** A path with `*` for list indices. */
export const pathPattern = (path: Change['path']) => path.map(key => (typeof key === 'number' ? '*' : key)).join('.')
