import type { JsonPatch, JsonPatchOperation } from '@ag-ui/core'
import microdiff from 'microdiff'

/** What changed between two JSON values, as a JSON Patch (RFC 6902). */
export function patchOf(before: unknown, after: unknown): JsonPatch {
  if (!isComparable(before, after)) return [{ op: 'replace', path: '', value: after }]
  const changes = microdiff(before as Container, after as Container, { cyclesFix: false })
  const removed = changes.filter(({ type }) => type === 'REMOVE')
  const others = changes.filter(({ type }) => type !== 'REMOVE')
  // From the end of an array, so that the indexes before it stay.
  return [...removed.toReversed(), ...others].map((change): JsonPatchOperation => {
    const path = change.path.map(key => `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
    if (change.type === 'REMOVE') return { op: 'remove', path }
    return { op: change.type === 'CREATE' ? 'add' : 'replace', path, value: change.value }
  })
}

type Container = Record<string, unknown> | unknown[]

const isComparable = (before: unknown, after: unknown): boolean =>
  typeof before === 'object' &&
  typeof after === 'object' &&
  before !== null &&
  after !== null &&
  Array.isArray(before) === Array.isArray(after)
