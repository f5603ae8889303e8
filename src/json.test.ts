import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { copyOf, jsonOf } from './json.ts'

const problemOf = (value: unknown) => {
  try {
    return jsonOf(value, 'it')
  } catch (error) {
    expect(error).toMatchObject({ code: 'E_VALUE_INVALID' })
    return (error as Error).message
  }
}

describe('what is accepted', () => {
  it('is what JSON makes of it, and a copy', () => {
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), fc.object({ withDate: true, maxDepth: 4 })), value => {
        const text = JSON.stringify(value)
        const found = problemOf(value)
        if (typeof found === 'string' && found.startsWith('it: ')) return
        expect(found).toStrictEqual(JSON.parse(text ?? 'null'))
        if (typeof value === 'object' && value !== null) expect(found).not.toBe(value)
      }),
      { numRuns: 2_000 },
    )
  })

  it.each([
    [new Date(0), '1970-01-01T00:00:00.000Z'],
    [new URL('https://a.example/b'), 'https://a.example/b'],
    [{ a: undefined, b: [new Date(0)] }, { b: ['1970-01-01T00:00:00.000Z'] }],
    [undefined, null],
    [-0, 0],
    [{ toJSON: (key: string) => ({ key }) }, { key: '' }],
    [Object.create(null), {}],
  ])('%o is %o', (value, json) => expect(jsonOf(value, 'it')).toStrictEqual(json))

  it('no longer changes with what it was taken of', () => {
    const value = { list: [{ a: 1 }] }
    const json = jsonOf(value, 'it')
    value.list[0]!.a = 2
    expect(json).toEqual({ list: [{ a: 1 }] })
  })
})

describe('what is used in many places is copied for each, up to a bound', () => {
  const doubled = (value: unknown, times: number) => {
    for (let i = 0; i < times; i++) value = { left: value, right: value }
    return value
  }

  it.each([
    ['objects', doubled({}, 60), 'is one of more than 2500000 values'],
    ['lists', doubled([[], []], 40), 'is one of more than 2500000 values'],
    ['text', doubled('x'.repeat(1024 * 1024), 10), 'comes after 67108864 characters of text'],
    ['names', doubled({ ['n'.repeat(1024 * 1024)]: 1 }, 10), 'comes after 67108864 characters of text'],
  ])('of %s', (_, value, problem) => expect(problemOf(value)).toContain(problem))

  it('below it', () => expect(JSON.stringify(problemOf(doubled(1, 16)))).toHaveLength(1_245_166))
})

class Order {
  total = 1
}

const cyclic: Record<string, unknown> = {}
cyclic.self = cyclic

describe('what JSON would change is refused with its path', () => {
  const refused: [value: unknown, problem: string][] = [
    [{ a: { b: [1, 2, 3, new Map()] } }, 'it: $.a.b[3] is a Map. Use Object.fromEntries(map) or [...map]'],
    [new Set(), 'it: $ is a Set. Use [...set]'],
    [[undefined], 'it: $[0] is undefined, which a list cannot hold. Use null'],
    [Object.assign([], { length: 3 }), 'it: $[0] is undefined, which a list cannot hold. Use null'],
    [{ n: NaN }, 'it: $.n is NaN: JSON numbers are finite. Use null or a text'],
    [[-Infinity], 'it: $[0] is -Infinity: JSON numbers are finite. Use null or a text'],
    [{ 'a key': 1n }, 'it: $["a key"] is a bigint. Use a number or a text'],
    [{ f() {} }, 'it: $.f is a function. Leave it out'],
    [{ s: Symbol('s') }, 'it: $.s is a symbol. Leave it out'],
    [{ [Symbol('s')]: 1 }, 'it: $ has a symbol as a key. Use a text'],
    [{ e: new Error('no') }, 'it: $.e is an Error. Use its message'],
    [{ p: Promise.resolve() }, 'it: $.p is a Promise. Await it'],
    [new Uint8Array(1), 'it: $ holds bytes. Use a text, such as base64'],
    [new Order(), 'it: $ is an instance of Order, and has no toJSON(). Use a plain object'],
    [new String('s'), 'it: $ is an instance of String, and has no toJSON(). Use a plain object'],
    [/a/, 'it: $ is an instance of RegExp, and has no toJSON(). Use a plain object'],
    [{ at: new Date(NaN) }, 'it: $.at is an invalid Date. Use null'],
    [{ get a(): never { throw new Error('broken') } }, 'it: $.a cannot be read: broken'],
    [JSON.parse('{"a":{"__proto__":1}}'), 'it: $.a.__proto__ has a name that can change prototypes. Use another'],
    [{ toJSON: () => [new Map()] }, 'it: $[0] is a Map. Use Object.fromEntries(map) or [...map]'],
  ] // biome-ignore format: one table
  for (const [value, problem] of refused) it(problem, () => expect(problemOf(value)).toBe(problem))

  it('also where it never ends', () => {
    expect(problemOf(cyclic)).toMatch(/^it: \$(\.self){64} is nested deeper than 64, or contains itself$/)
    expect(problemOf({ toJSON: () => cyclic })).toMatch(/contains itself$/)
  })
})

it('a copy is equal, and shares nothing that can be changed', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), json => {
      const before = JSON.stringify(json)
      const copy = copyOf(json)
      expect(JSON.stringify(copy)).toBe(before)
      spoil(copy)
      expect(JSON.stringify(json)).toBe(before)
    }),
  )
})

function spoil(value: unknown): void {
  if (typeof value !== 'object' || value === null) return
  for (const child of Object.values(value)) spoil(child)
  if (Array.isArray(value)) value.push('spoilt')
  else Object.assign(value, { spoilt: true })
}
