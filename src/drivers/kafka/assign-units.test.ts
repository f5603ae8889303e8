import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { assignUnits, type UnitClaim } from './assign-units.ts'

const newcomer = (member: string): UnitClaim => ({ member, owned: [], generation: -1, takesUnits: true })

/** What the members claim after they gave back what they were not assigned. */
const next = (claims: readonly UnitClaim[], assigned: ReadonlyMap<string, number[]>, generation: number) =>
  claims.map(claim => ({ ...claim, owned: assigned.get(claim.member)!, generation }))

describe('units of a group', () => {
  it('are never given to a second member before the first one has joined without them', () => {
    const members = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { minLength: 1 })
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 12 }),
        fc.array(members, { minLength: 1, maxLength: 8 }),
        (units, rounds) => {
          let claims: UnitClaim[] = []
          for (const [round, names] of rounds.entries()) {
            claims = names.map(name => claims.find(({ member }) => member === name) ?? newcomer(name))
            const held = new Map(claims.flatMap(({ member, owned }) => owned.map(unit => [unit, member] as const)))
            const assigned = assignUnits(units, claims)
            for (const [member, list] of assigned)
              for (const unit of list) expect(held.get(unit) ?? member).toBe(member)
            const all = [...assigned.values()].flat()
            expect(new Set(all).size).toBe(all.length)
            claims = next(claims, assigned, round)
          }
          // Two more rounds without changes spread them evenly.
          for (const round of [100, 101]) claims = next(claims, assignUnits(units, claims), round)
          const shares = claims.map(({ owned }) => owned.length)
          expect(shares.reduce((sum, share) => sum + share, 0)).toBe(units)
          expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1)
        },
      ),
    )
  })

  it('stay with the newest owner if an older one claims them too, and leave a member that takes none', () => {
    const stale = { member: 'a', owned: [0, 1], generation: 3, takesUnits: true }
    const owner = { member: 'b', owned: [1], generation: 4, takesUnits: true }
    expect(assignUnits(2, [stale, owner])).toEqual(new Map([['a', [0]], ['b', [1]]])) // biome-ignore format: one row
    const leaving = { ...stale, takesUnits: false }
    expect(assignUnits(2, [leaving, newcomer('b')])).toEqual(new Map([['a', []], ['b', []]])) // biome-ignore format: one row
  })
})
