import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  advance,
  beginning,
  compactCursor,
  coversAll,
  distanceBetween,
  formatCursor,
  intersectionOf,
  isCovered,
  offsetsOf,
  maxPartitions,
  readCursor,
  restrictCursor,
  rewind,
  stepBack,
  unionOf,
  withOffset,
} from './cursor.ts'

const partitions = 4
const offsets = fc.array(fc.nat(9), { minLength: 1, maxLength: partitions })
const cursors = offsets.map(formatCursor)
const positions = fc.record({ partition: fc.nat(partitions - 1), offset: fc.integer({ min: 1, max: 9 }) })

/** What a cursor means: the positions that it covers. */
function covered(cursor: string): string[] {
  return offsetsOf(cursor, partitions).flatMap((last, partition) =>
    Array.from({ length: last }, (_, n) => `${partition}:${n + 1}`),
  )
}

const covering = (...sets: readonly string[][]) => new Set(sets.flat())

test('the encoding: offsets in the order of the partitions, without trailing zeros', () => {
  expect(formatCursor([42])).toBe('42')
  expect(formatCursor([42, 17, 3])).toBe('42.17.3')
  expect(formatCursor([42, 0, 0])).toBe('42')
  expect(formatCursor([0, 0, 7])).toBe('0.0.7')
  expect(formatCursor([0, 0])).toBe(beginning)
})

test('what older versions stored is read: a number, or its digits', () => {
  expect(readCursor(42)).toBe('42')
  expect(readCursor('42')).toBe('42')
  expect(readCursor(0)).toBe(beginning)
  expect(readCursor('007.0')).toBe('7')
})

test('a text that is not a cursor is refused', () => {
  for (const wrong of [
    '',
    'x',
    '-1',
    '1.',
    '.1',
    '1..2',
    '1e3',
    ' 1',
    '1234567890123456',
    -1,
    1.5,
    NaN,
    null,
    {},
    `1${'.1'.repeat(256)}`,
  ])
    expect(() => readCursor(wrong)).toThrow(/is not a cursor/)
  expect(() => offsetsOf('1.2', 1)).toThrow(/of another log/)
})

test('encoding and decoding are inverse, and equal cursors are equal texts', () => {
  fc.assert(
    fc.property(offsets, cursors, (list, other) => {
      const cursor = formatCursor(list)
      expect(formatCursor(offsetsOf(cursor, partitions))).toBe(cursor)
      expect(readCursor(cursor)).toBe(cursor)
      expect(coversAll(cursor, other) && coversAll(other, cursor)).toBe(cursor === other)
    }),
  )
})

test('a cursor is a set of positions', () => {
  fc.assert(
    fc.property(cursors, cursors, positions, (a, b, position) => {
      const [inA, inB] = [new Set(covered(a)), new Set(covered(b))]
      const key = `${position.partition}:${position.offset}`
      expect(isCovered(a, position)).toBe(inA.has(key))
      expect(coversAll(a, b)).toBe(inB.isSubsetOf(inA))
      expect(covering(covered(unionOf(a, b)))).toEqual(inA.union(inB))
      expect(covering(covered(intersectionOf(a, b)))).toEqual(inA.intersection(inB))
      expect(distanceBetween(a, b)).toBe(inB.difference(inA).size)
      const until = formatCursor(
        Array.from({ length: partitions }, (_, n) => (n === position.partition ? position.offset : 0)),
      )
      expect(advance(a, position)).toBe(unionOf(a, until))
      expect(isCovered(rewind(a, position), position)).toBe(false)
      expect(coversAll(a, rewind(a, position))).toBe(true)
      expect(advance(rewind(advance(a, position), position), position)).toBe(
        rewind(advance(a, position), { ...position, offset: position.offset + 1 }),
      )
    }),
  )
})

test('a step back covers less, by at most that many events', () => {
  fc.assert(
    fc.property(cursors, fc.nat(40), (cursor, events) => {
      const before = stepBack(cursor, events)
      expect(coversAll(cursor, before)).toBe(true)
      expect(distanceBetween(before, cursor)).toBeLessThanOrEqual(events)
    }),
  )
  expect(stepBack('7', 20)).toBe(beginning)
})

const largeOffsets = fc.array(fc.oneof(fc.constant(0), fc.nat(1e6), fc.nat(2 ** 45 - 1)), {
  minLength: 1,
  maxLength: maxPartitions,
})

test('a compact cursor is read as the cursor that it was made of, and has at most 2 KB', () => {
  fc.assert(
    fc.property(largeOffsets, offsets => {
      const cursor = formatCursor(offsets)
      const compact = compactCursor(cursor)
      expect(readCursor(compact)).toBe(cursor)
      expect(compact).toMatch(/^[\w.~-]{1,2048}$/)
    }),
  )
  const largest = formatCursor(Array.from({ length: maxPartitions }, (_, n) => 2 ** 45 - 1 - n))
  expect(largest.length).toBeGreaterThan(2_048)
  expect(compactCursor(largest)).toHaveLength(2_048)
  expect(readCursor(compactCursor(largest))).toBe(largest)
})

test('a compact cursor of one partition is short, whichever it is', () => {
  expect(compactCursor('42')).toBe('42')
  expect(compactCursor(withOffset(beginning, 200, 1_000_000))).toBe('~5k-lfls')
  expect(compactCursor(beginning)).toBe('~')
  expect(readCursor('~')).toBe(beginning)
})

test('other texts are no compact cursors', () => {
  for (const text of [
    '~74-1',
    '~0-zzzzzzzzzz',
    'I0000000',
    'A000000',
    'A000000!',
    '~-',
    '~~',
    '~1',
    'A'.repeat(8 * 257),
  ])
    expect(() => readCursor(text), text).toThrow('is not a cursor')
})

test('a restricted cursor covers the positions of its partitions', () => {
  fc.assert(
    fc.property(cursors, fc.uniqueArray(fc.nat(partitions - 1)), (cursor, kept) => {
      const found = covered(restrictCursor(cursor, new Set(kept)))
      expect(found).toEqual(covered(cursor).filter(position => kept.includes(Number(position[0]))))
    }),
  )
})
