import { digest } from '../tasks/turn.ts'
import type { Change, Difference, ComparableEmit } from './compare.ts'
import type { LoggedTurn } from './turn-assembler.ts'
import type { Hint } from './nondeterminism.ts'

export type DivergenceKind = Difference['kind'] | 'state' | 'threw'

/** One way in which a turn comes out otherwise today. */
export interface Divergence {
  readonly kind: DivergenceKind
  readonly task: string
  readonly program: string
  /** Version of the turn in its task, and its position in the log. */
  readonly turn: number
  readonly position: number
  /** What is said otherwise, such as `tool.invoke web.search`. */
  readonly what: string
  readonly changes: readonly Change[]
  /** The data of an event that was added or removed. */
  readonly data?: unknown
  /** What was thrown. */
  readonly error?: string
  /** Line of today's code, as `path:line:column`. */
  readonly sourceLocation?: string
  /** Where the code of the task did, up to this turn, what may come out otherwise each time. */
  readonly hints?: readonly Hint[]
  readonly recordedBy: CodeVersion
  readonly replayedBy: CodeVersion
  /** The same for all divergences that look alike. */
  readonly signature: string
}

export interface CodeVersion {
  readonly version: number
  readonly hash: string
}

/** What is known of a divergence before it is known what differs. */
export type DivergenceContext = Omit<
  Divergence,
  'signature' | 'what' | 'changes' | 'kind' | 'data' | 'error' | 'sourceLocation' | 'hints'
>

/** `replayedBy`: the code that decides the turn today. */
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
  found: DivergenceContext,
  difference: Difference,
  place: string | undefined,
): Divergence {
  const said = 'before' in difference ? difference.before : difference.after
  const changes = difference.kind === 'changed' ? difference.changes : []
  return withSignature({
    ...found,
    kind: difference.kind,
    what: nameOf(said),
    changes,
    ...((difference.kind === 'added' || difference.kind === 'removed') && { data: said.data }),
    ...(place !== undefined && { sourceLocation: place }),
  })
}

export function stateDivergence(
  found: DivergenceContext,
  changes: readonly Change[],
  place: string | undefined,
): Divergence {
  return withSignature({
    ...found,
    kind: 'state',
    what: 'state',
    changes,
    ...(place !== undefined && { sourceLocation: place }),
  })
}

export function thrownDivergence(found: DivergenceContext, error: string, place: string | undefined): Divergence {
  return withSignature({
    ...found,
    kind: 'threw',
    what: 'the program',
    changes: [],
    error,
    ...(place !== undefined && { sourceLocation: place }),
  })
}

const nameOf = ({ type, target }: ComparableEmit) => (target === undefined ? type : `${type} ${target}`)

/** Neither the task nor the values count, but where they differ: indices of lists are all one. */
function withSignature(divergence: Omit<Divergence, 'signature'>): Divergence {
  const { program, kind, what, changes, error } = divergence
  const paths = new Set(changes.map(({ path }) => pathPattern(path)))
  const parts = [program, kind, what, [...paths].toSorted(), error?.replace(/\d+/g, '#') ?? '']
  return { ...divergence, signature: digest(parts).slice(0, 10) }
}

/** A path in which indices of lists are all one. */
export const pathPattern = (path: Change['path']) => path.map(key => (typeof key === 'number' ? '*' : key)).join('.')
