import { TidingsError } from './errors.ts'
import { sourceLocation, shortPath } from './stack.ts'
import { didYouMean } from './suggest.ts'

/*
 * Checks the options of a definition when the app is loaded: otherwise an unknown option would be ignored and a wrong type
 * would fail much later. The compiler finds most of these mistakes, but not in JavaScript or in files that run unchecked.
 */

/** The problem with a value, such as `must be a text, not 5`; undefined if it is valid. */
export type Check = (value: unknown) => string | undefined

export const must = (what: string, holds: (value: unknown) => boolean): Check => {
  return value => (holds(value) ? undefined : `must be ${what}, not ${describeValue(value)}`)
}

export const aText = must('a text', value => typeof value === 'string')
export const aFunction = must('a function', value => typeof value === 'function')
export const aFlag = must('true or false', value => typeof value === 'boolean')
export const anObject = must('an object', value => typeof value === 'object' && value !== null)
export const aList = must('a list', Array.isArray)
export const aCount = must('a whole number from 1', value => Number.isSafeInteger(value) && (value as number) >= 1)
export const aNumber = must('a number from 0', value => Number.isFinite(value) && (value as number) >= 0)
export const anything: Check = () => undefined
/** A duration as text: a number and its unit. */
export const durationPattern = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/
const isDuration = (value: unknown) =>
  (typeof value === 'number' && Number.isFinite(value) && value >= 0) ||
  (typeof value === 'string' && durationPattern.test(value))
export const aDuration = must('a duration such as "30s", "10m" or "2d"', isDuration)
export const aTimeout = must(
  'a duration such as "30s", "10m" or "2d", or "forever"',
  value => value === 'forever' || isDuration(value),
)
export const aSchema = must('a Standard Schema, such as one of zod', value => {
  const standard = (value as { '~standard'?: { validate?: unknown } } | null | undefined)?.['~standard']
  return typeof standard?.validate === 'function'
})
export const oneOf = (...values: readonly string[]): Check =>
  must(values.map(value => `"${value}"`).join(' or '), value => values.includes(value as string))

/** Checks an object that has only these options. */
export const optionsOf =
  (checks: Readonly<Record<string, Check>>, required: readonly string[] = []): Check =>
  value =>
    anObject(value) ?? problemIn(value as object, checks, required)

/** An option that is undefined counts as left out. @throws E_APP_INVALID, with the name and place of the definition */
export function checkOptions(
  what: string,
  options: unknown,
  checks: Readonly<Record<string, Check>>,
  required: readonly string[],
): void {
  const problem = anObject(options) ?? problemIn(options as object, checks, required)
  if (problem !== undefined) throw invalidAt(what, problem)
}

/** The error for a definition, with its source location. */
export function invalidAt(what: string, problem: string): TidingsError {
  const place = sourceLocation(new Error().stack)
  const [, path, position] = /^(.*?)(:\d+:\d+)$/.exec(place ?? '') ?? []
  return new TidingsError(
    'E_APP_INVALID',
    `${what}${path === undefined ? '' : ` (${shortPath(path)}${position})`}: ${problem}`,
  )
}

function problemIn(
  options: object,
  checks: Readonly<Record<string, Check>>,
  required: readonly string[] = [],
): string | undefined {
  for (const [name, value] of Object.entries(options))
    if (value !== undefined && !Object.hasOwn(checks, name)) {
      const meant = didYouMean(name, Object.keys(checks))
      return `there is no option "${name}"${meant || `; there are: ${Object.keys(checks).join(', ')}`}`
    }
  for (const [name, check] of Object.entries(checks)) {
    const value = (options as Record<string, unknown>)[name]
    if (value === undefined) {
      if (required.includes(name)) return `the option "${name}" is missing`
      continue
    }
    const problem = check(value)
    // A nested problem already names its option.
    if (problem !== undefined)
      return problem.startsWith('must ') ? `the option "${name}" ${problem}` : `in the option "${name}", ${problem}`
  }
  return undefined
}

/** Text of a value for an error message. */
export function describeValue(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 80))
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return String(value)
  return Array.isArray(value) ? 'a list' : typeof value === 'object' ? 'an object' : `a ${typeof value}`
}
