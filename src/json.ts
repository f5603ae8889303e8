import { textOf, TidingsError, type ErrorCode } from './errors.ts'

/*
 * The boundary between code and the log. A value that crosses it, in either direction, becomes exactly its JSON, and the
 * two sides never share an object:
 *
 *     code ── jsonOf ──▶ redact ──▶ one text: stored and hashed ──▶ copyOf ──▶ code
 *
 * `jsonOf` copies a value at the moment of the call. It rejects what JSON would change silently, so that code sees the same
 * value after a restart. `copyOf` returns a value that code may change.
 */

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

/** Maximum nesting of a value, because every later walk over data is recursive. */
export const maxDepth = 64
// An object used in several places is copied for each, so a few objects could exceed the memory. Both limits are above the size
// of an event, so that large data is normally rejected by its size.
const maxValues = 2_500_000
const maxChars = 64 * 1024 * 1024

/**
 * A copy of the value as JSON represents it: `toJSON` (of a Date, a URL) is called, undefined properties are left out, -0
 * becomes 0 and undefined becomes null. `what` names the value in the error.
 * @throws E_VALUE_INVALID, or the given code, with the path of a value that JSON would change or cannot represent
 */
export function jsonOf(value: unknown, what: string, code: ErrorCode = 'E_VALUE_INVALID', depth = maxDepth): Json {
  if (value === undefined || value === null) return null
  if (typeof value === 'string' || typeof value === 'boolean') return value
  const taking: CopyState = { path: [], depth, values: maxValues, chars: maxChars }
  try {
    return toJson(value, taking) ?? null
  } catch (error) {
    const problem = error instanceof RefusedValue ? error.message : `cannot be read: ${textOf(error)}`
    throw new TidingsError(code, `${what}: ${pathText(taking.path)} ${problem}`, { cause: error })
  }
}

/** Why `jsonOf` would reject the value, with the path; undefined if it would accept it. */
export function jsonProblem(value: unknown, depth = maxDepth): string | undefined {
  try {
    jsonOf(value, 'is not JSON', 'E_VALUE_INVALID', depth)
    return undefined
  } catch (error) {
    return (error as TidingsError).message
  }
}

/** A copy of JSON for code that may change it. */
export function copyOf<T>(json: T): T {
  if (typeof json !== 'object' || json === null) return json
  if (Array.isArray(json)) {
    const copy: unknown[] = []
    for (const item of json) copy.push(copyOf(item))
    return copy as T
  }
  const copy = { ...json } as Record<string, unknown>
  for (const key in copy) {
    const child = copy[key]
    if (typeof child === 'object' && child !== null) copy[key] = copyOf(child)
  }
  return copy as T
}

/** Thrown inside this file only. It has no stack, which would cost time. */
class RefusedValue {
  readonly message: string
  constructor(message: string) {
    this.message = message
  }
}

interface CopyState {
  /** Path to the current value; after a rejection, to the rejected value. */
  readonly path: (string | number)[]
  readonly depth: number
  /** Remaining values and characters that the copy may have. */
  values: number
  chars: number
}

/** Returns undefined for a value that is left out. */
function toJson(value: unknown, taking: CopyState): Json | undefined {
  if (--taking.values < 0)
    throw new RefusedValue(`is one of more than ${maxValues} values, each counted wherever it is used`)
  if (typeof value === 'string') return copyText(value, taking)
  if (typeof value === 'boolean' || value === undefined || value === null) return value
  if (typeof value === 'number') {
    if (Number.isFinite(value)) return value + 0
    throw new RefusedValue(`is ${value}: JSON numbers are finite. Use null or a text`)
  }
  if (typeof value !== 'object')
    throw new RefusedValue(
      `is a ${typeof value}. ${typeof value === 'bigint' ? 'Use a number or a text' : 'Leave it out'}`,
    )
  const { path, depth } = taking
  if (path.length >= depth) throw new RefusedValue(`is nested deeper than ${depth}, or contains itself`)
  if (Array.isArray(value)) return copyList(value, taking)
  if ('toJSON' in value && typeof value.toJSON === 'function') return copyConverted(value as Convertible, taking)
  return copyFields(value, taking)
}

function copyText(text: string, taking: CopyState): string {
  if ((taking.chars -= text.length) >= 0) return text
  throw new RefusedValue(`comes after ${maxChars} characters of text, each counted wherever it is used`)
}

function copyList(list: readonly unknown[], taking: CopyState): Json[] {
  const { path } = taking
  const copy: Json[] = []
  for (let i = 0; i < list.length; i++) {
    path.push(i)
    const item = toJson(list[i], taking)
    if (item === undefined) throw new RefusedValue('is undefined, which a list cannot hold. Use null')
    copy.push(item)
    path.pop()
  }
  return copy
}

function copyFields(value: object, taking: CopyState): Json {
  const { path } = taking
  const prototype: unknown = Object.getPrototypeOf(value)
  // In every realm, the prototype of a plain object has no prototype.
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) throw new RefusedValue(instanceProblem(value))
  if (Object.getOwnPropertySymbols(value).length > 0) throw new RefusedValue('has a symbol as a key. Use a text')
  const copy: Record<string, Json> = {}
  for (const key of Object.keys(value)) {
    path.push(key)
    const child = toJson((value as Record<string, unknown>)[copyText(key, taking)], taking)
    if (child !== undefined) {
      if (isPolluting(key, child)) throw new RefusedValue('has a name that can change prototypes. Use another')
      copy[key] = child
    }
    path.pop()
  }
  return copy
}

interface Convertible {
  toJSON(key: string): unknown
}

function copyConverted(value: Convertible, taking: CopyState): Json | undefined {
  if (value instanceof Date && Number.isNaN(value.getTime())) throw new RefusedValue('is an invalid Date. Use null')
  const converted = value.toJSON(String(taking.path.at(-1) ?? ''))
  if (typeof converted !== 'object' || converted === null) return toJson(converted, taking)
  return Array.isArray(converted) ? copyList(converted, taking) : copyFields(converted, taking)
}

const isPolluting = (key: string, child: Json) =>
  key === '__proto__' || (key === 'constructor' && typeof child === 'object' && child !== null && 'prototype' in child)

function instanceProblem(value: object): string {
  if (value instanceof Map) return 'is a Map. Use Object.fromEntries(map) or [...map]'
  if (value instanceof Set) return 'is a Set. Use [...set]'
  if (value instanceof Error) return 'is an Error. Use its message'
  if (value instanceof Promise) return 'is a Promise. Await it'
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return 'holds bytes. Use a text, such as base64'
  const { name } = (value.constructor ?? {}) as { name?: string }
  return `is an instance of ${name || 'a class'}, and has no toJSON(). Use a plain object`
}

const isWord = /^[\p{L}_$][\p{L}\p{N}_$]*$/u

/** Such as `$.orders[3].total`. Keys that are not identifiers are quoted and truncated. */
const pathText = (path: readonly (string | number)[]) =>
  path.reduce<string>(
    (text, step) =>
      typeof step === 'number'
        ? `${text}[${step}]`
        : isWord.test(step) && step.length <= 64
          ? `${text}.${step}`
          : `${text}[${JSON.stringify(step.slice(0, 64))}]`,
    '$',
  )
