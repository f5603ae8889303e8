import microdiff from 'microdiff'
import { withoutStack } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import { parseId } from '../bus/ids.ts'
import { asRequested } from '../tasks/effects.ts'
import type { EmittedRef } from '../tasks/program.ts'

/** An emitted event without ids and times, so that two runs of a turn can be compared. */
export interface ComparableEmit {
  readonly id: string
  readonly type: string
  readonly target?: string
  readonly subject?: string
  readonly key?: string
  /** Digest of the data. */
  readonly hash: string
  /** Deadline of the answer, ms since the epoch; null: none; absent: no caller waits for an answer. */
  readonly until?: number | null
  readonly data: unknown
}

/** A path at which two JSON values differ. A missing side is undefined. */
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

/** The events that the program itself emitted. Cancellations by the runtime are left out because they follow from these. */
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

export function compareEmits(recorded: readonly ComparableEmit[], current: readonly ComparableEmit[]): Difference[] {
  if (recorded.length === current.length && recorded.every((emit, i) => isSame(emit, current[i]!))) return []
  const left = new Set(current)
  const partners = new Map<ComparableEmit, ComparableEmit>()
  const pair = (fits: (before: ComparableEmit, after: ComparableEmit) => boolean) => {
    for (const before of recorded) {
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
  for (const before of recorded) {
    const after = partners.get(before)
    if (!after) {
      differences.push({ kind: 'removed', before })
      continue
    }
    const index = current.indexOf(after)
    if (!isSame(before, after)) differences.push({ kind: 'changed', before, after, changes: changesOf(before, after) })
    else if (index < furthest) differences.push({ kind: 'reordered', before, after })
    furthest = Math.max(furthest, index)
  }
  for (const after of left) differences.push({ kind: 'added', after })
  return differences
}

const isSame = (a: ComparableEmit, b: ComparableEmit) =>
  a.type === b.type &&
  (a.hash === b.hash || differOnlyInAdvice(a.data, b.data)) &&
  a.target === b.target &&
  a.subject === b.subject &&
  a.key === b.key &&
  a.until === b.until

/** The `next` of an error is the advice of one version of Tidings, not a decision of the program. */
function differOnlyInAdvice(before: unknown, after: unknown): boolean {
  const isError = (value: unknown) => {
    const { code, message } = (value ?? {}) as { code?: unknown; message?: unknown }
    return typeof code === 'string' && code.startsWith('E_') && typeof message === 'string'
  }
  const changes = diffJson(before, after)
  return (
    changes.length > 0 &&
    changes.every(({ path }) => path.at(-1) === 'next' && isError(valueAt(before, path.slice(0, -1))))
  )
}

const valueAt = (value: unknown, path: Change['path']) =>
  path.reduce((at, key) => (at as Record<string | number, unknown>)[key], value)

function changesOf(before: ComparableEmit, after: ComparableEmit): Change[] {
  const { id: _a, hash: _b, type: _c, ...one } = before
  const { id: _d, hash: _e, type: _f, ...other } = after
  return diffJson(one, other)
}

/** The differences of two JSON values, sorted by path. */
export function diffJson(before: unknown, after: unknown): Change[] {
  // microdiff compares the contents of objects and arrays only, so both values are wrapped.
  return microdiff({ '': before }, { '': after }, { cyclesFix: false })
    .map(change => ({
      path: change.path.slice(1),
      ...(change.type !== 'CREATE' && { before: change.oldValue as unknown }),
      ...(change.type !== 'REMOVE' && { after: change.value as unknown }),
    }))
    .toSorted((a, b) => (a.path.join('\0') < b.path.join('\0') ? -1 : 1))
}
