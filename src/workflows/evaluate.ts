import { isDeepStrictEqual } from 'node:util'
import { getPath } from '../tasks/get-path.ts'
import type { Comparison, Condition, Expression } from './definition.ts'

export type Scope = Readonly<Record<string, unknown>>

/** The value of an expression; undefined if a path does not exist. */
export function evaluate(expression: Expression, scope: Scope): unknown {
  if ('ref' in expression) return getPath(scope, expression.ref)
  if ('value' in expression) return expression.value
  if ('list' in expression) return expression.list.map(item => evaluate(item, scope) ?? null)
  if ('text' in expression) return expression.text.map(part => textOf(evaluate(part, scope))).join('')
  const fields = Object.entries(expression.fields).map(([name, field]) => [name, evaluate(field, scope)] as const)
  return Object.fromEntries(fields.filter(([, value]) => value !== undefined))
}

function textOf(value: unknown): string {
  if (value === undefined || value === null) return ''
  return typeof value === 'string' ? value : JSON.stringify(value)
}

export function holds(condition: Condition, scope: Scope): boolean {
  if ('compare' in condition)
    return compare(condition.compare, evaluate(condition.left, scope), evaluate(condition.right, scope))
  if ('exists' in condition) return (evaluate(condition.exists, scope) ?? null) !== null
  if ('not' in condition) return !holds(condition.not, scope)
  if ('both' in condition) return condition.both.every(each => holds(each, scope))
  return condition.either.some(each => holds(each, scope))
}

/** Orders numbers with numbers and texts with texts (such as RFC 3339 times in UTC). Other values have no order. */
function compare(how: Comparison, left: unknown, right: unknown): boolean {
  if (how === 'is') return isDeepStrictEqual(left ?? null, right ?? null)
  if (how === 'includes') {
    if (typeof left === 'string') return typeof right === 'string' && left.includes(right)
    return Array.isArray(left) && left.some(item => isDeepStrictEqual(item, right))
  }
  const bothNumbers = typeof left === 'number' && typeof right === 'number'
  if (!bothNumbers && !(typeof left === 'string' && typeof right === 'string')) return false
  if (how === 'above') return left > right
  if (how === 'atLeast') return left >= right
  return how === 'below' ? left < right : left <= right
}

export const asText = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value ?? null))
