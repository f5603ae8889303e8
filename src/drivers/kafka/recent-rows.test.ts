import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RecentRows, type RecentRow } from './recent-rows.ts'

const rowAt = (offset: number): RecentRow => ({
  partition: 0,
  offset,
  id: String(offset),
  type: 'order.paid',
  target: null,
  correlation: '',
  at: 0,
  time: 0,
  text: 'x'.repeat(10),
})

test('a range is what was added, or undefined when a part of it is gone', () => {
  const steps = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 60 })
  const query = fc.record({ after: fc.nat(300), length: fc.nat(60), limit: fc.integer({ min: 1, max: 20 }) })
  fc.assert(
    fc.property(steps, query, (gaps, { after, length, limit }) => {
      const rows = new RecentRows(0, 300)
      const offsets = gaps.map((_, n) => gaps.slice(0, n + 1).reduce((sum, gap) => sum + gap))
      for (const offset of offsets) rows.add(rowAt(offset))
      const kept = offsets.slice(-30)
      const oldest = offsets[offsets.length - kept.length - 1] ?? 0
      const found = rows.range(after, after + length, limit)
      const expected = kept.filter(offset => offset > after && offset <= after + length).slice(0, limit)
      expect(found?.map(({ offset }) => offset)).toEqual(after < oldest ? undefined : expected)
      for (const offset of offsets) expect(rows.at(offset)?.offset).toBe(kept.includes(offset) ? offset : undefined)
    }),
  )
})
