import microdiff from 'microdiff'
import { withoutStack } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import { parseId } from '../bus/ids.ts'
import { asRequested } from '../tasks/effects.ts'
import type { EmittedRef } from '../tasks/program.ts'

/** What a turn emitted, as far as two runs of it can agree: ids and times are left out. */
export interface ComparableEmit {
  readonly id: string
  readonly type: string
  readonly target?: string
  readonly subject?: string
  readonly key?: string
  /** Digest of the data. */
  readonly hash: string
  /** When the wait for the answer ends, ms since the epoch; null: never; absent: nobody waits. */
  readonly until?: number | null
  readonly data: unknown
}

/** One place at which two JSON values differ. An absent side is undefined. */
export interface Change {
  readonly path: readonly (string | number)[]
  readonly before?: unknown
  readonly after?: unknown
}

export type Difference =
  | {
      readonly kind: 'changed'
      readonly before: ComparableEmit
      readonly after: ComparableEmit
      readonly changes: readonly Change[]
    }
  | { readonly kind: 'reordered'; readonly before: ComparableEmit; readonly after: ComparableEmit }
  | { readonly kind: 'removed'; readonly before: ComparableEmit }
  | { readonly kind: 'added'; readonly after: ComparableEmit }

/** Of what a turn emitted, what its program said: the runtime's own withdrawals follow from it. */
export function comparableEmits(emits: readonly EmittedRef[], events: readonly CloudEvent[]): ComparableEmit[] {
  return emits.flatMap(({ id, type, hash, wait }, i) => {
    if (parseId(id)?.suffix === 'cancel') return []
    const { target, subject, data } = asRequested(events[i]!)
    return {
      id,
      type,
      hash,
      data: withoutStack(data),
      ...(target !== undefined && { target }),
      ...(subject !== undefined && { subject }),
      ...(wait && { until: wait.until, ...(wait.key !== undefined && { key: wait.key }) }),
    }
  })
}

/** How what is said now differs from what was said then. */
export function compareEmits(then: readonly ComparableEmit[], now: readonly ComparableEmit[]): Difference[] {
  if (then.length === now.length && then.every((said, i) => isSame(said, now[i]!))) return []
  const left = new Set(now)
  const partners = new Map<ComparableEmit, ComparableEmit>()
  const pair = (fits: (before: ComparableEmit, after: ComparableEmit) => boolean) => {
    for (const before of then) {
      if (partners.has(before)) continue
      for (const after of left) {
        if (!fits(before, after)) continue
        partners.set(before, after)
        left.delete(after)
        break
      }
    }
  }
  pair(isSame)
  pair((a, b) => a.type === b.type && a.key !== undefined && a.key === b.key)
  pair((a, b) => a.type === b.type && a.target === b.target)
  pair((a, b) => a.type === b.type)

  const differences: Difference[] = []
  let furthest = -1
  for (const before of then) {
    const after = partners.get(before)
    if (!after) {
      differences.push({ kind: 'removed', before })
      continue
    }
    const place = now.indexOf(after)
    if (!isSame(before, after)) differences.push({ kind: 'changed', before, after, changes: changesOf(before, after) })
    else if (place < furthest) differences.push({ kind: 'reordered', before, after })
    furthest = Math.max(furthest, place)
  }
  for (const after of left) differences.push({ kind: 'added', after })
  return differences
}

const isSame = (a: ComparableEmit, b: ComparableEmit) =>
  a.type === b.type &&
  a.hash === b.hash &&
  a.target === b.target &&
  a.subject === b.subject &&
  a.key === b.key &&
  a.until === b.until

function changesOf(before: ComparableEmit, after: ComparableEmit): Change[] {
  const { id: _a, hash: _b, type: _c, ...one } = before
  const { id: _d, hash: _e, type: _f, ...other } = after
  return diffJson(one, other)
}

/** Where two JSON values differ, in a fixed order. */
export function diffJson(before: unknown, after: unknown): Change[] {
  // The library compares what lies within objects and arrays.
  return microdiff({ '': before }, { '': after }, { cyclesFix: false })
    .map(change => ({
      path: change.path.slice(1),
      ...(change.type !== 'CREATE' && { before: change.oldValue as unknown }),
      ...(change.type !== 'REMOVE' && { after: change.value as unknown }),
    }))
    .toSorted((a, b) => (a.path.join('\0') < b.path.join('\0') ? -1 : 1))
}
