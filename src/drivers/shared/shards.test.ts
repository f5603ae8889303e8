import fc from 'fast-check'
import { expect, test } from 'vitest'
import { balanceShards, spreadShards } from './shards.ts'

test('members that apply their views in turn end with an even spread, and then change nothing', () => {
  const plans = fc.record({
    members: fc.uniqueArray(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 6 }),
    owners: fc.array(fc.option(fc.integer({ min: 1, max: 12 })), { minLength: 1, maxLength: 40 }),
  })
  fc.assert(
    fc.property(plans, ({ members, owners }) => {
      const now = spreadShards(members, owners)
      const counts = members.map(me => now.filter(owner => owner === me).length)
      expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1)
      expect(counts.reduce((sum, count) => sum + count)).toBe(owners.length)
      for (const me of members) expect(balanceShards(me, members, now)).toEqual(now)
    }),
  )
})

test('a member takes nothing from another that lives, and keeps what it has up to its share', () => {
  expect(balanceShards('a', ['a', 'b'], ['b', 'b', 'b', null])).toEqual(['b', 'b', 'b', 'a'])
  expect(balanceShards('b', ['a', 'b'], ['b', 'b', 'b', 'a'])).toEqual(['b', 'b', null, 'a'])
  expect(balanceShards('a', ['a', 'b'], ['dead', 'b', 'b', 'a'])).toEqual(['a', 'b', 'b', 'a'])
})

test('a process that is not a member changes nothing', () => {
  expect(balanceShards('c', ['a'], ['a', null])).toEqual(['a', null])
})
