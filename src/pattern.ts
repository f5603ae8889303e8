import { TidingsError } from './errors.ts'

const typeName = /^[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)*$/
const typePattern = /^(\*|[a-z][a-z0-9_-]*)(\.(\*|[a-z0-9_-]+))*(\.>)?$|^>$/

const maxTypeLength = 128
const maxNameLength = 64

/** Whether `type` is a dotted lower-case name of at most 128 characters. */
export function isType(type: unknown): type is string {
  return typeof type === 'string' && type.length <= maxTypeLength && typeName.test(type)
}

/** Returns the name. @throws E_EVENT_INVALID */
export function canonicalType(type: string): string {
  if (!isType(type)) throw new TidingsError('E_EVENT_INVALID', `"${String(type).slice(0, 80)}" is not an event type`)
  return type
}

/** Checks the name of an agent, tool, workflow or approval. `what`: such as `an agent name`. @throws E_APP_INVALID */
export function assertName(name: string, what: string): void {
  if (!typeName.test(name) || name.length > maxNameLength)
    throw new TidingsError(
      'E_APP_INVALID',
      `"${name}" is not ${what}: dotted lower-case words, at most ${maxNameLength} characters`,
    )
}

/** Whether this is a pattern: a type in which `*` matches one word and a final `>` one or more, as in NATS subjects. */
export function isTypePattern(pattern: unknown): pattern is string {
  return typeof pattern === 'string' && pattern.length <= maxTypeLength && typePattern.test(pattern)
}

/** Whether a type matches a pattern. Source: NATS subject-based messaging, wildcards. */
export function matchesType(pattern: string, type: string): boolean {
  if (pattern === type || pattern === '>') return true
  if (!pattern.includes('*') && !pattern.endsWith('.>')) return false
  const want = pattern.split('.')
  const have = type.split('.')
  for (let i = 0; i < want.length; i++) {
    if (want[i] === '>') return have.length > i
    if (i >= have.length || (want[i] !== '*' && want[i] !== have[i])) return false
  }
  return want.length === have.length
}

/** One clause of a subscription: any of these types and, if there are targets, any of these targets. Both may be patterns. */
export interface Clause {
  readonly types: readonly string[]
  readonly targets?: readonly string[]
}

/** An event matches a filter if it matches any of its clauses. */
export type Filter = readonly Clause[]

/** Compiles a filter. */
export function compileFilter(filter: Filter): (event: { type: string; target?: string | null }) => boolean {
  const clauses = filter.map(({ types, targets }) => ({
    matches: compilePatterns(types),
    isMeant: targets && compilePatterns(targets),
  }))
  return ({ type, target }) =>
    clauses.some(
      ({ matches, isMeant }) => (!isMeant || (typeof target === 'string' && isMeant(target))) && matches(type),
    )
}

/** Whether a name of a filter stands for several. */
export const isWildcard = (name: string): boolean => name.includes('*') || name.includes('>')

/** Literal names use a lookup; patterns are tried in turn. */
function compilePatterns(names: readonly string[]): (name: string) => boolean {
  const literal = new Set(names.filter(name => !isWildcard(name)))
  const patterns = names.filter(isWildcard)
  return name => literal.has(name) || patterns.some(pattern => matchesType(pattern, name))
}
