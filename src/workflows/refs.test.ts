import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TidingsError } from '../errors.ts'
import { evaluate, holds, type Scope } from './evaluate.ts'
import {
  above, atLeast, atMost, below, both, toCondition, either, exists, toExpression, includes, is, not, placeholder, text, type Ref, type Test,
} from './refs.ts' // biome-ignore format: one list

const scope = () => placeholder([]) as Ref<any>
const run = (select: (s: Ref<any>) => unknown, values: Scope) =>
  evaluate(throughJson(toExpression(select(scope()))), values)
const throughJson = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T
const isInvalid = (error: unknown) => error instanceof TidingsError && error.code === 'E_APP_INVALID'

describe('a selector', () => {
  it('gives what the same code would give for the values', () => {
    const key = fc.oneof(fc.string({ maxLength: 4 }), fc.constantFrom('__proto__', 'constructor', 'length', 'ref', 'value', 'fields')) // biome-ignore format: one line
    const readable = key.filter(name => name !== 'constructor' && name !== 'then' && name !== 'toJSON')
    const json = fc.jsonValue({ maxDepth: 2 })
    const paths = fc.array(readable, { minLength: 1, maxLength: 3 })
    const { template } = fc.letrec<{ template: unknown }>(tie => ({
      template: fc.oneof(
        { depthSize: 'small' },
        json,
        paths.map(path => new Reading(path)),
        fc.array(tie('template'), { maxLength: 3 }),
        fc.dictionary(key, tie('template'), { maxKeys: 3 }),
      ),
    }))
    fc.assert(
      fc.property(template, fc.array(fc.tuple(paths, json), { maxLength: 6 }), (shape, known) => {
        const values = {}
        for (const [path, value] of known) put(values, path, value)
        // Twice through JSON, as definitions and scopes go.
        const found = run(s => filled(shape, path => path.reduce((ref, name) => ref[name], s)), throughJson(values))
        const wanted = filled(shape, path => path.reduce(own, values as unknown))
        expect(found === undefined ? undefined : throughJson(found)).toEqual(
          wanted === undefined ? undefined : throughJson(wanted),
        )
      }),
      { numRuns: 1_000 },
    )
  })

  it('gives JSON or is refused, whatever it returns', () => {
    const anything = fc.anything({ withBigInt: true, withDate: true, withMap: true, withSet: true, withNullPrototype: true, withSparseArray: true, withTypedArray: true, maxDepth: 4 }) // biome-ignore format: one line
    fc.assert(
      fc.property(anything, value => {
        let found: unknown
        try {
          found = run(() => value, {})
        } catch (error) {
          expect(isInvalid(error)).toBe(true)
          return
        }
        expect(found).toEqual(throughJson(value))
      }),
      { numRuns: 1_000 },
    )
    const round: Record<string, unknown> = {}
    round.self = round
    for (const value of [round, () => 1, Symbol('x'), new (class A {})(), undefined, NaN, is(1, 1)])
      expect(() => run(() => value, {})).toThrow(expect.toSatisfy(isInvalid))
  })

  const misuses: Record<string, (s: Ref<any>) => unknown> = {
    'makes text of it': s => `${s.a}`,
    'adds to it': s => s.a + 1,
    'compares it': s => s.a > 1,
    'spreads it as a list': s => [...s.a],
    'spreads it as an object': s => ({ ...s.a }),
    'lists its keys': s => Object.keys(s.a),
    'calls a method of it': s => s.list.map((x: unknown) => x),
    'calls it': s => s.a(),
    'constructs it': s => new s.a(),
    'sets a field': s => (s.a.x = 1),
    'deletes a field': s => delete s.a.x,
    'asks for a field': s => 'x' in s.a,
    'asks for an own field': s => Object.hasOwn(s.a, 'x'),
    'makes JSON of it': s => JSON.stringify(s.a),
    'uses it as a key': s => ({ [s.a]: 1 }),
    'freezes it': s => Object.freeze(s.a),
    'is async': async () => 1,
    'waits for it': s => s.a.then(String),
    'gives it as a class has it': s => new Map([[1, s.a]]),
  }
  it.each(Object.keys(misuses))('that %s is refused', name => {
    expect(() => toExpression(misuses[name]!(scope()))).toThrow(expect.toSatisfy(isInvalid))
  })
})

/** Reads a path. */
class Reading {
  readonly path: readonly string[]
  constructor(path: readonly string[]) {
    this.path = path
  }
}

function filled(shape: unknown, read: (path: readonly string[]) => unknown): unknown {
  if (shape instanceof Reading) return read(shape.path)
  if (Array.isArray(shape)) return shape.map(item => filled(item, read))
  if (typeof shape !== 'object' || shape === null) return shape
  return Object.fromEntries(Object.entries(shape).map(([name, field]) => [name, filled(field, read)]))
}

const own = (value: unknown, name: string) =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined

function put(values: object, [name, ...rest]: readonly string[], value: unknown): void {
  const before = own(values, name!)
  const isObject = typeof before === 'object' && before !== null && !Array.isArray(before)
  const next = rest.length === 0 ? value : isObject ? before : {}
  Object.defineProperty(values, name!, { value: next, enumerable: true, configurable: true, writable: true })
  if (rest.length > 0) put(next as object, rest, value)
}

describe('conditions', () => {
  const says = (test: (s: Ref<any>) => Test, values: Scope = {}) =>
    holds(throughJson(toCondition(test(scope()))), values)

  it('is: the same JSON value, and what is missing is null', () => {
    expect(says(s => is(s.a, { x: [1] }), { a: { x: [1] } })).toBe(true)
    expect(says(s => is(s.a, null))).toBe(true)
    expect(says(s => is(s.a, '1'), { a: 1 })).toBe(false)
    expect(says(s => is(s.a, -0), { a: 0 })).toBe(true)
  })

  it('order numbers with numbers and texts with texts, and nothing else', () => {
    const scenario = fc.tuple(fc.jsonValue({ maxDepth: 1 }), fc.jsonValue({ maxDepth: 1 }))
    fc.assert(
      fc.property(scenario, ([a, b]) => {
        const values = { a, b }
        const bothAre = (kind: string) => typeof a === kind && typeof b === kind
        const isOrdered = bothAre('number') || bothAre('string')
        expect(says(s => above(s.a, s.b), values)).toBe(isOrdered && a! > b!)
        expect(says(s => below(s.a, s.b), values)).toBe(isOrdered && a! < b!)
        expect(says(s => atLeast(s.a, s.b), values)).toBe(isOrdered && a! >= b!)
        expect(says(s => atMost(s.a, s.b), values)).toBe(isOrdered && a! <= b!)
      }),
    )
  })

  it('includes, exists, not, both, either', () => {
    const values = { list: ['a', { b: 1 }], text: 'order 7', gone: null, yes: true }
    expect(says(s => includes(s.list, { b: 1 }), values)).toBe(true)
    expect(says(s => includes(s.text, '7'), values)).toBe(true)
    expect(says(s => includes(s.yes, true), values)).toBe(false)
    expect(says(s => exists(s.gone), values)).toBe(false)
    expect(says(s => not(exists(s.list)), values)).toBe(false)
    expect(says(s => both(s.yes, exists(s.list)), values)).toBe(true)
    expect(says(s => either(s.gone, s.yes), values)).toBe(true)
    expect(says(() => both())).toBe(true)
    expect(says(() => either())).toBe(false)
    for (const none of [true, undefined, 'yes', null, {}])
      expect(() => toCondition(none as never)).toThrow(expect.toSatisfy(isInvalid))
  })

  it('text keeps strings as they are, and takes the JSON of other values', () => {
    expect(run(s => text`${s.a}: ${s.b} and ${s.c}${s.none}.`, { a: 'x', b: 1.5, c: [1, 'y'] })).toBe(
      'x: 1.5 and [1,"y"].',
    )
    expect(run(() => text``, {})).toBe('')
  })
})
