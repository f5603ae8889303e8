/** A difference between two JSON values. `before` or `after` is absent where a value was added or removed. */
export interface Change {
  readonly path: string
  readonly before?: unknown
  readonly after?: unknown
}

/** What differs, in the order of the keys. Lists are compared entry by entry. */
export function changesBetween(before: unknown, after: unknown, path = ''): Change[] {
  if (Object.is(before, after)) return []
  if (!isBranch(before) || !isBranch(after) || Array.isArray(before) !== Array.isArray(after))
    return [{ path, ...(before !== undefined && { before }), ...(after !== undefined && { after }) }]
  const keys = new Set([...Object.keys(before), ...Object.keys(after)])
  return [...keys].flatMap(key =>
    changesBetween(
      before[key],
      after[key],
      Array.isArray(after) ? `${path}[${key}]` : path === '' ? key : `${path}.${key}`,
    ),
  )
}

const isBranch = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null
