import { expect, test } from 'vitest'
import { Redactor } from '../bus/redact.ts'
import { bucketOf, sideOf } from './bucket.ts'
import { compareLanes } from './comparison.ts'
import { nothing } from './control.ts'
import { differencesOf } from './differences.ts'

const paths = (...args: Parameters<typeof differencesOf>) => differencesOf(...args).map(({ path }) => path)

test('names each differing field once, by its path', () => {
  const old = { total: 1, items: [{ price: 1 }, { price: 2 }], name: 'a', tags: ['x'] }
  expect(paths(old, structuredClone(old))).toEqual([])
  expect(paths(old, { ...old, total: 2, items: [{ price: 3 }, { price: 4 }] })).toEqual(['total', 'items[].price'])
  expect(paths(old, { ...old, tags: ['x', 'y'], extra: null })).toEqual(['tags[]', 'extra'])
  expect(paths('a', 'b')).toEqual(['$'])
  expect(paths({ a: [] }, { a: {} })).toEqual(['a'])
  expect(paths({ a: null }, {})).toEqual(['a'])
})

test('ignores fields, and asks comparators', () => {
  const rules = { ignore: ['at', 'items[].id'], fields: { total: (a: number, b: number) => Math.abs(a - b) < 0.01 } }
  const old = { at: 1, total: 1, items: [{ id: 1, n: 1 }] }
  expect(paths(old, { at: 2, total: 1.001, items: [{ id: 2, n: 1 }] }, rules)).toEqual([])
  expect(paths(old, { at: 2, total: 1.1, items: [{ id: 2, n: 2 }] }, rules)).toEqual(['total', 'items[].n'])
})

test('keeps at most 100 paths', () => {
  const wide = (value: number) => Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`k${i}`, value]))
  expect(paths(wide(1), wide(2))).toHaveLength(100)
})

test('a key never leaves the candidate while the percentage grows, and shares are as large as the percentage', () => {
  const keys = Array.from({ length: 5_000 }, (_, i) => `user-${i}`)
  const on = (percent: number) =>
    new Set(keys.filter(key => sideOf('reports', { ...nothing, percent }, [key]) === 'candidate'))
  let before = on(0)
  expect(before.size).toBe(0)
  for (const percent of [1, 5, 50, 99.5, 100]) {
    const now = on(percent)
    expect(before.isSubsetOf(now)).toBe(true)
    expect(Math.abs(now.size / keys.length - percent / 100)).toBeLessThan(0.02)
    before = now
  }
  expect(before.size).toBe(keys.length)
  // Another strangler places them in another way.
  expect(bucketOf('reports', 'ann')).not.toBe(bucketOf('orders', 'ann'))
})

test('lists come before the percentage, and `never` before `always`', () => {
  const control = { ...nothing, always: ['acme', 'ann'], never: ['ann'] }
  expect(sideOf('reports', control, ['bob', 'acme'])).toBe('candidate')
  expect(sideOf('reports', control, ['ann', 'acme'])).toBe('old')
  expect(sideOf('reports', control, ['bob'])).toBe('old')
})

test('a comparator that throws is a difference of its own, which no repetition explains', () => {
  const broken = {
    fields: {
      total: () => {
        throw new Error('no such currency')
      },
    },
  }
  expect(differencesOf({ total: 1, id: 2 }, { total: 1, id: 3 }, broken)).toEqual([
    { path: 'total', at: ['total'], problem: 'no such currency' },
    { path: 'id', at: ['id'] },
  ])
  const lane = (total: number) => ({ ms: 1, correlationid: 'a', output: { total } })
  const lanes = { old: lane(1), candidate: lane(1), repeat: lane(1) }
  expect(compareLanes(lanes, broken, new Redactor())).toMatchObject({
    differences: [{ path: '(comparator) total', other: 'no such currency' }],
    noise: [],
  })
})
