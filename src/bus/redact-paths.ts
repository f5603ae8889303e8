import { TidingsError } from '../errors.ts'
import { isTypePattern, matchesType } from '../pattern.ts'

/** A declared path, and the event types that it applies to. */
export interface Path {
  readonly types: string
  readonly keys: readonly string[]
  readonly mark: string
}

// The data of these is references and times, which the runtime needs unchanged.
const references = /^(?:model\.invoke|timer\.(?:set|fired)|control\.\w+)$/

export const isReferences = (type: string) => references.test(type)

/** Parses `[TYPES:]data.key.*.key`: `*` is one key or index; `**`, at most once, any number. @throws E_APP_INVALID */
export function pathOf(text: string): Path {
  const [, types = '>', path = ''] = /^(?:([^:]*):)?(.*)$/.exec(text)!
  const keys = path.split('.')
  const isSound = (keys[0] === 'data' || path === 'subject') && keys.every(key => key !== '') && keys.at(-1) !== '**'
  if (!isTypePattern(types) || !isSound || keys.filter(key => key === '**').length > 1)
    throw new TidingsError(
      'E_APP_INVALID',
      `"${text}" is not a path to redact: expected a path such as data.card.number, data.**.password or email.received:data.headers.*.value`,
    )
  return { types, keys, mark: `[redacted ${path}]` }
}

/** Redacts the values at these paths. Returns the same data if there are none. */
export function redactPaths(paths: readonly Path[], type: string, data: unknown): unknown {
  let clean = data
  for (const { types, keys, mark } of paths)
    if (keys[0] === 'data' && matchesType(types, type)) clean = replaced(clean, keys, 1, mark)
  return clean
}

/**
 * Whether a path may cover a text at `keys`, a value that contains it or, with `isObject`, one inside. `*` among the keys stands for an index.
 */
export function mayCover({ types, keys }: Path, type: string, at: readonly string[], isObject = false): boolean {
  if (!matchesType(types, type)) return false
  const deep = keys.indexOf('**')
  const fixed = deep < 0 ? keys : keys.slice(0, deep)
  if (!fixed.every((key, i) => i >= at.length || key === '*' || at[i] === '*' || key === at[i])) return false
  if (isObject) return true
  const last = keys.at(-1)!
  return deep < 0 ? keys.length <= at.length : last === '*' || /^\d+$/.test(last) || at.includes(last)
}

// The bus rejects deeper values; a raw body is redacted before that check.
const maxDepth = 128

/** Replaces the value at the path `keys`, starting with the key numbered `at`. Null and absent values stay. */
function replaced(value: unknown, keys: readonly string[], at: number, mark: string, depth = 0): unknown {
  if (depth > maxDepth) return value
  const plain = plainOf(value)
  if (plain === null || plain === undefined) return value
  if (at === keys.length) return mark
  const key = keys[at]!
  const isSelected = (name: string) => key === '*' || key === '**' || key === name
  if (key !== '**') return inEach(value, isSelected, child => replaced(child, keys, at + 1, mark, depth + 1))
  const here = replaced(value, keys, at + 1, mark, depth)
  return inEach(here, isSelected, child => replaced(child, keys, at, mark, depth + 1))
}

/** Changes the selected fields of an object or list; any other value stays. */
function inEach(value: unknown, isSelected: (name: string) => boolean, change: (child: unknown) => unknown): unknown {
  const plain = plainOf(value)
  if (typeof plain !== 'object' || plain === null) return value
  let copy: Record<string, unknown> | undefined
  for (const [name, child] of Object.entries(plain)) {
    if (!isSelected(name)) continue
    const changed = change(child)
    if (changed === child) continue
    copy ??= (Array.isArray(plain) ? [...plain] : { ...plain }) as Record<string, unknown>
    copy[name] = changed
  }
  return copy ?? value
}

/** The value as JSON represents it, one level deep. */
export function plainOf(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if ('toJSON' in value && typeof value.toJSON === 'function') return value.toJSON()
  return value instanceof String ? value.valueOf() : value
}
