import { TidingsError } from '../errors.ts'
import type { Comparison, Condition, Expression } from './definition.ts'
import type { IsAny, ScopePath } from './scope.ts'

/*
 * A selector such as `s => s.plan.parts` is called once, when the workflow is built, with placeholders that record the path. The result
 * is data; the function itself is not kept.
 */

declare const placeholderFor: unique symbol

declare const pathOf: unique symbol

/** A placeholder for a value that an instance has later. */
interface Placeholder<T> {
  readonly [placeholderFor]: () => T
}

interface Located<At> {
  readonly [pathOf]?: At
}

/** `Missing`: undefined if the value may be missing, and so its fields. */
type Fields<T, At extends ScopePath, Missing> = [T] extends [readonly (infer Item)[]]
  ? { readonly [n: number]: Ref<Item | Missing>; readonly length: Ref<number | Missing> }
  : [T] extends [object]
    ? { readonly [K in keyof T]-?: Ref<T[K] | Missing, readonly [...At, K]> }
    : unknown
type MissingIn<T> = T extends null | undefined ? undefined : never

/**
 * A placeholder for a value and its fields. Reading a field that the type does not have is a compile error. A field of a value that may be
 * missing may be missing.
 */
export type Ref<T, At extends ScopePath = readonly []> =
  // biome-ignore lint/suspicious/noExplicitAny: untyped values can be read in any way
  IsAny<T> extends true ? any : Placeholder<T> & Located<At> & Fields<NonNullable<T>, At, MissingIn<T>>

type Plain = string | number | boolean | null | undefined

/** A value of type T, or a template for one: a placeholder, or an object or list with placeholders. */
export type Template<T> =
  IsAny<T> extends true
    ? unknown
    : unknown extends T
      ? unknown
      :
          | Placeholder<T>
          | (T extends Plain
              ? T
              : T extends readonly (infer Item)[]
                ? readonly Template<Item>[]
                : T extends object
                  ? { readonly [K in keyof T]: Template<T[K]> }
                  : T)

export type ValueOf<T> =
  T extends Placeholder<infer Value>
    ? Value
    : T extends Plain
      ? T
      : T extends readonly (infer Item)[]
        ? readonly ValueOf<Item>[]
        : T extends object
          ? { [K in keyof T]: ValueOf<T[K]> }
          : T

/** A function from the placeholders of a scope to a template or condition. */
export type Selector<Scope, T> = (scope: Ref<Scope>) => T

const path = Symbol('path')
const rejectedProperties = new Set(['then', 'toJSON', 'constructor'])

/** A placeholder for the value at a path. Using it as a value throws E_APP_INVALID. */
export function placeholder(steps: readonly string[]): never {
  const refuse = () => {
    const pathText = steps.join('.') || 'the scope'
    throw invalid(
      `${pathText} has no value while the workflow is built: use text\`…\`, is(), above() and similar functions`,
    )
  }
  // The target is a function, so that calls fail with this error too.
  return new Proxy(function () {}, {
    get(_, name) {
      if (name === path) return steps
      return typeof name === 'symbol' || rejectedProperties.has(name) ? refuse() : placeholder([...steps, name])
    },
    has: (_, name) => name === path || refuse(),
    apply: refuse,
    construct: refuse,
    set: refuse,
    deleteProperty: refuse,
    defineProperty: refuse,
    ownKeys: refuse,
    getOwnPropertyDescriptor: refuse,
  }) as never
}

class Text {
  readonly parts: readonly unknown[]
  constructor(parts: readonly unknown[]) {
    this.parts = parts
  }
}

/**
 * Text that contains values of the scope.
 * @example orders.fail(s => text`Order ${s.event.order} was not paid`)
 */
export function text(strings: TemplateStringsArray, ...values: readonly unknown[]): Placeholder<string> {
  const parts = strings.flatMap((string, i) => [...(string ? [string] : []), ...(i < values.length ? [values[i]] : [])])
  return new Text(parts) as unknown as Placeholder<string>
}

const isPlaceholder = (value: unknown): value is { [path]: readonly string[] } =>
  typeof value === 'function' && path in value

const maxDepth = 64

/** The result of a selector as data. @throws E_APP_INVALID if it cannot be JSON */
export function toExpression(value: unknown, depth = 0): Expression {
  if (depth > maxDepth)
    throw invalid(`a selector must return values of the scope and JSON, at most ${maxDepth} levels deep`)
  if (isPlaceholder(value)) return { ref: value[path] }
  if (value instanceof Text) return { text: value.parts.map(part => toExpression(part, depth + 1)) }
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return { value }
  // JSON has no negative zero.
  if (typeof value === 'number' && Number.isFinite(value)) return { value: value + 0 }
  // Array.from includes holes.
  if (Array.isArray(value)) return { list: Array.from(value, item => toExpression(item, depth + 1)) }
  if (typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype) {
    const fields = Object.entries(value).filter(([, field]) => field !== undefined)
    return { fields: Object.fromEntries(fields.map(([name, field]) => [name, toExpression(field, depth + 1)])) }
  }
  throw invalid(`a selector must return values of the scope and JSON, not ${typeof value}`)
}

/** `Yes`: paths of the values that exist if it holds; `No`: if it does not. */
class ConditionValue<Yes = unknown, No = unknown> {
  declare readonly '~exist'?: { readonly yes: Yes; readonly no: No }
  readonly condition: Condition
  constructor(condition: Condition) {
    this.condition = condition
  }
}

/** A condition on values of an instance, made by `is`, `above` and similar functions. */
export type Test<Yes = unknown, No = unknown> =
  | ConditionValue<Yes, No>
  | Placeholder<boolean>
  | Placeholder<boolean | undefined>

/** A condition as data. A boolean value is compared with true. */
export function toCondition(test: Test): Condition {
  if (test instanceof ConditionValue) return test.condition
  if (isPlaceholder(test)) return { compare: 'is', left: toExpression(test), right: { value: true } }
  throw invalid(
    'a condition must be made with is(), above(), exists() and similar functions, because it is stored as data',
  )
}

const comparison =
  <Operand>(how: Comparison) =>
  (
    left: Placeholder<Operand | undefined | null> | Operand,
    right: Placeholder<Operand | undefined | null> | Operand,
  ): Test<never, never> =>
    new ConditionValue({ compare: how, left: toExpression(left), right: toExpression(right) })

/**
 * Equal JSON values.
 * @example orders.choose(s => is(s.event.order, 'A1'), first => first.emit('order.first', s => s.event))
 */
export const is = comparison<unknown>('is')
/**
 * Greater. Compares two numbers or two texts; false for other values.
 * @example orders.choose(s => above(s.event.amount, 1_000), large => large.emit('order.large', s => s.event))
 */
export const above = comparison<number | string>('above')
/**
 * Greater or equal.
 * @example
 * orders.choose(s => atLeast(s.event.amount, 1_000), large => large.emit('order.large', s => s.event))
 */
export const atLeast = comparison<number | string>('atLeast')
/**
 * Less, not equal.
 * @example orders.choose(s => below(s.event.amount, 10), small => small.emit('order.small', s => s.event))
 */
export const below = comparison<number | string>('below')
/**
 * Less or equal.
 * @example orders.choose(s => atMost(s.event.amount, 10), small => small.emit('order.small', s => s.event))
 */
export const atMost = comparison<number | string>('atMost')
/**
 * The list contains the value, or the text contains the part.
 * @example orders.choose(s => includes(s.event.order, 'TEST-'), test => test.complete(() => 'ignored'))
 */
export const includes = comparison<unknown>('includes')
/**
 * The value exists and is not null. The compiler knows that in the branch that a `choose()` takes then.
 * @example orders.choose(s => exists(s.payment), done => done.complete(s => s.payment))
 */
export const exists = <At extends ScopePath = never>(
  value: Placeholder<unknown> & Located<At>,
): Test<Known<At>, never> => new ConditionValue({ exists: toExpression(value) })
/**
 * Inverts a test. JavaScript cannot overload `!`.
 * @example orders.choose(s => not(exists(s.payment)), late => late.emit('payment.chased', s => s.event))
 */
export const not = <Yes = never, No = never>(test: Test<Yes, No>): Test<No, Yes> =>
  new ConditionValue({ not: toCondition(test) })
/**
 * All of the tests hold.
 * @example
 * orders.choose(s => both(exists(s.payment), above(s.event.amount, 1_000)), vip => vip.emit('order.vip', s => s.event))
 */
export const both = <Yes = never>(...tests: readonly Test<Yes>[]): Test<Yes, never> =>
  new ConditionValue({ both: tests.map(toCondition) })
/**
 * At least one of the tests holds.
 * @example
 * orders.choose(s => either(is(s.event.order, 'A1'), below(s.event.amount, 10)), free => free.complete(() => 'free'))
 */
export const either = <No = never>(...tests: readonly Test<unknown, No>[]): Test<never, No> =>
  new ConditionValue({ either: tests.map(toCondition) })

/** Untyped values have no path. */
type Known<At> = IsAny<At> extends true ? never : At

const invalid = (what: string) => new TidingsError('E_APP_INVALID', what)
