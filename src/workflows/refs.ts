import { TidingsError } from '../errors.ts'
import type { Comparison, Condition, Expression } from './definition.ts'

/*
 * A selector such as `s => s.plan.parts` is called once, when the workflow is built, with stand-ins that remember the path
 * that was taken. What comes out is data; nothing of the function is kept.
 */

declare const stands: unique symbol

/** Stands for a value that an instance will have. */
interface StandsFor<T> {
  readonly [stands]: () => T
}

type IsAny<T> = 0 extends 1 & T ? true : false
type Fields<T> = [T] extends [readonly (infer Item)[]]
  ? { readonly [n: number]: Ref<Item>; readonly length: Ref<number> }
  : [T] extends [object]
    ? { readonly [K in keyof T]-?: Ref<T[K]> }
    : unknown

/** A value that is not there yet, and its fields. Reading a field that the type does not have is a compile error. */
// biome-ignore lint/suspicious/noExplicitAny: what is not typed can be read in any way
export type Ref<T> = IsAny<T> extends true ? any : StandsFor<T> & Fields<NonNullable<T>>

type Plain = string | number | boolean | null | undefined

/** A value of type T, or what will give one: a reference, or an object or list of such. What may be missing may be null. */
export type Template<T> =
  IsAny<T> extends true
    ? unknown
    : unknown extends T
      ? unknown
      :
          | StandsFor<T | null | undefined>
          | (T extends Plain
              ? T
              : T extends readonly (infer Item)[]
                ? readonly Template<Item>[]
                : T extends object
                  ? { readonly [K in keyof T]: Template<T[K]> }
                  : T)

/** The type of what a template gives. */
export type Given<T> =
  T extends StandsFor<infer Value>
    ? Value
    : T extends Plain
      ? T
      : T extends readonly (infer Item)[]
        ? readonly Given<Item>[]
        : T extends object
          ? { [K in keyof T]: Given<T[K]> }
          : T

/** What stands for values of a scope. */
export type Selector<Scope, T> = (scope: Ref<Scope>) => T

const path = Symbol('path')
const refusals = new Set(['then', 'toJSON', 'constructor'])

/** A stand-in for the value at a path. @throws E_APP_INVALID where the value itself would be needed. */
export function standIn(steps: readonly string[]): never {
  const refuse = () => {
    const said = steps.join('.') || 'the scope'
    throw invalid(`${said} is not there yet when the workflow is built: use text\`…\`, is(), above() and the like`)
  }
  // A function, so that what is called on it is refused with this text too.
  return new Proxy(function () {}, {
    get(_, name) {
      if (name === path) return steps
      return typeof name === 'symbol' || refusals.has(name) ? refuse() : standIn([...steps, name])
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

/** Text with values of the scope in it: `` text`Report on ${s.event.subject}` ``. */
export function text(strings: TemplateStringsArray, ...values: readonly unknown[]): StandsFor<string> {
  const parts = strings.flatMap((string, i) => [...(string ? [string] : []), ...(i < values.length ? [values[i]] : [])])
  return new Text(parts) as unknown as StandsFor<string>
}

const isStandIn = (value: unknown): value is { [path]: readonly string[] } =>
  typeof value === 'function' && path in value

const mostDepth = 64

/** What a selector returned, as data. @throws E_APP_INVALID for what cannot be JSON. */
export function expressionOf(value: unknown, depth = 0): Expression {
  if (depth > mostDepth)
    throw invalid(`a selector gives values of the scope and JSON, at most ${mostDepth} levels deep`)
  if (isStandIn(value)) return { ref: value[path] }
  if (value instanceof Text) return { text: value.parts.map(part => expressionOf(part, depth + 1)) }
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return { value }
  // JSON has one zero.
  if (typeof value === 'number' && Number.isFinite(value)) return { value: value + 0 }
  // Of holes too.
  if (Array.isArray(value)) return { list: Array.from(value, item => expressionOf(item, depth + 1)) }
  if (typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype) {
    const fields = Object.entries(value).filter(([, field]) => field !== undefined)
    return { fields: Object.fromEntries(fields.map(([name, field]) => [name, expressionOf(field, depth + 1)])) }
  }
  throw invalid(`a selector gives values of the scope and JSON, and not ${typeof value}`)
}

class Claim {
  readonly condition: Condition
  constructor(condition: Condition) {
    this.condition = condition
  }
}

/** What `is`, `above` and the like say of values that are not there yet. */
export type Test = Claim | StandsFor<boolean> | StandsFor<boolean | undefined>

/** A condition as data; of a value of type boolean, that it is true. */
export function conditionOf(test: Test): Condition {
  if (test instanceof Claim) return test.condition
  if (isStandIn(test)) return { compare: 'is', left: expressionOf(test), right: { value: true } }
  throw invalid('a condition is made of is(), above(), exists() and the like, since it is data')
}

const comparing =
  <Operand>(how: Comparison) =>
  (
    left: StandsFor<Operand | undefined | null> | Operand,
    right: StandsFor<Operand | undefined | null> | Operand,
  ): Test =>
    new Claim({ compare: how, left: expressionOf(left), right: expressionOf(right) })

/** The same JSON value. */
export const is = comparing<unknown>('is')
/** Of two numbers, or of two texts; between others nothing holds. */
export const above = comparing<number | string>('above')
export const atLeast = comparing<number | string>('atLeast')
export const below = comparing<number | string>('below')
export const atMost = comparing<number | string>('atMost')
/** The list holds the value, or the text the part. */
export const includes = comparing<unknown>('includes')
/** It is there, and not null. */
export const exists = (value: StandsFor<unknown>): Test => new Claim({ exists: expressionOf(value) })
export const not = (test: Test): Test => new Claim({ not: conditionOf(test) })
export const both = (...tests: readonly Test[]): Test => new Claim({ both: tests.map(conditionOf) })
export const either = (...tests: readonly Test[]): Test => new Claim({ either: tests.map(conditionOf) })

const invalid = (what: string) => new TidingsError('E_APP_INVALID', what)
