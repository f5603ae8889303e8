import { digest } from '../tasks/turn.ts'
import type { Change, Difference, Said } from './compare.ts'
import type { Recording } from './histories.ts'
import type { Hint } from './impure.ts'

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
  readonly place?: string
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
export type Found = Omit<Divergence, 'signature' | 'what' | 'changes' | 'kind' | 'data' | 'error' | 'place' | 'hints'>

/** `replayedBy`: the code that decides the turn today. */
export const foundIn = ({ task, turn, position }: Recording, replayedBy: CodeVersion): Found => ({
  task,
  program: turn.program,
  turn: turn.version,
  position,
  recordedBy: { version: turn.programVersion, hash: turn.programHash },
  replayedBy,
})

export function emitDivergence(found: Found, difference: Difference, place: string | undefined): Divergence {
  const said = 'before' in difference ? difference.before : difference.after
  const changes = difference.kind === 'changed' ? difference.changes : []
  return signed({
    ...found,
    kind: difference.kind,
    what: nameOf(said),
    changes,
    ...((difference.kind === 'added' || difference.kind === 'removed') && { data: said.data }),
    ...(place !== undefined && { place }),
  })
}

export function stateDivergence(found: Found, changes: readonly Change[], place: string | undefined): Divergence {
  return signed({ ...found, kind: 'state', what: 'state', changes, ...(place !== undefined && { place }) })
}

export function threw(found: Found, error: string, place: string | undefined): Divergence {
  return signed({
    ...found,
    kind: 'threw',
    what: 'the program',
    changes: [],
    error,
    ...(place !== undefined && { place }),
  })
}

const nameOf = ({ type, target }: Said) => (target === undefined ? type : `${type} ${target}`)

/** Neither the task nor the values count, but where they differ: indices of lists are all one. */
function signed(divergence: Omit<Divergence, 'signature'>): Divergence {
  const { program, kind, what, changes, error } = divergence
  const paths = new Set(changes.map(({ path }) => patternOf(path)))
  const parts = [program, kind, what, [...paths].toSorted(), error?.replace(/\d+/g, '#') ?? '']
  return { ...divergence, signature: digest(parts).slice(0, 10) }
}

/** A path in which indices of lists are all one. */
export const patternOf = (path: Change['path']) => path.map(key => (typeof key === 'number' ? '*' : key)).join('.')
