import { isDeepStrictEqual } from 'node:util'
import type { Json } from '../json.ts'
import { describeThrown } from '../thrown.ts'

/** How outputs are compared. A path is that of a field: `total`, `customer.name`, `items[].price`; `$` is the whole output. */
export interface CompareOptions {
  /** Fields that are not compared, with everything in them. */
  readonly ignore?: readonly string[]
  /** Whether two values of a field count as the same. Without one, they must be equal. */
  readonly fields?: Readonly<Record<string, (old: any, candidate: any) => boolean>>
}

/** A field that differs, with its two values; undefined where a side does not have it. */
export interface OutputDifference {
  readonly path: string
  /** Its first place in the outputs: names and indexes. */
  readonly at: readonly (string | number)[]
  /** What the comparator of the field threw. */
  readonly problem?: string
}

const maxPaths = 100

/** The fields that differ, each path once, at most 100. */
export function differencesOf(
  old: Json,
  other: Json,
  { ignore = [], fields = {} }: CompareOptions = {},
): OutputDifference[] {
  const found = new Map<string, OutputDifference>()
  const isFull = () => found.size >= maxPaths

  function compare(a: Json | undefined, b: Json | undefined, path: string, at: readonly (string | number)[]): void {
    const name = path === '' ? '$' : path
    if (isFull() || ignore.includes(name)) return
    const isSame = Object.hasOwn(fields, name) ? fields[name] : undefined
    const same = isSame ? judged(isSame, a, b) : a === b
    if (same === true) return
    if (typeof same === 'string') return void found.set(name, { path: name, at, problem: same })
    if (!isSame && Array.isArray(a) && Array.isArray(b)) {
      for (let i = 0; i < Math.max(a.length, b.length) && !isFull(); i++) compare(a[i], b[i], `${path}[]`, [...at, i])
      return
    }
    if (!isSame && isObject(a) && isObject(b)) {
      for (const key of new Set([...Object.keys(a), ...Object.keys(b)]))
        compare(own(a, key), own(b, key), path === '' ? key : `${path}.${key}`, [...at, key])
      return
    }
    if (!isSame && isDeepStrictEqual(a, b)) return
    if (!found.has(name)) found.set(name, { path: name, at })
  }

  compare(old, other, '', [])
  return [...found.values()]
}

/** Whether a comparator finds two values the same; a text if it throws. */
function judged(isSame: (a: unknown, b: unknown) => boolean, a: unknown, b: unknown): boolean | string {
  try {
    return isSame(a, b) === true
  } catch (thrown) {
    return describeThrown(thrown)
  }
}

type JsonObject = { [key: string]: Json }

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const own = (value: JsonObject, key: string) => (Object.hasOwn(value, key) ? value[key] : undefined)

/** What is at a place of a value. */
export function valueAt(value: unknown, at: readonly (string | number)[]): unknown {
  let found = value
  for (const step of at) found = (found as Record<string | number, unknown> | null | undefined)?.[step]
  return found
}
