import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { maxAboveMark, PartitionSettlement } from './settlement.ts'

/** Opens all offsets and settles some, in any order. */
const settleSome = (start: number, gaps: number[], settledFirst: number[]) => {
  const settlement = new PartitionSettlement({ offset: start, metadata: '' })
  let at = start
  const offsets = gaps.map(gap => (at += gap))
  for (const offset of offsets) if (settlement.hasRoomFor(offset)) settlement.openAt(offset)
  const opened = [...settlement.open]
  const order = settledFirst.map(n => opened[n % opened.length]!).filter(offset => offset !== undefined)
  for (const offset of order) settlement.settle(offset)
  return { settlement, opened, settled: new Set(order) }
}

const script = fc.tuple(
  fc.nat(2 ** 40),
  fc.array(fc.integer({ min: 1, max: 500 }), { minLength: 1, maxLength: 200 }),
  fc.array(fc.nat(1_000), { maxLength: 200 }),
)

describe('settlement', () => {
  it('is the same after it was stored and read, and fits into the metadata of a commit', () => {
    fc.assert(
      fc.property(script, ([start, gaps, order]) => {
        const { settlement, opened, settled } = settleSome(start, gaps, order)
        const stored = settlement.stored()
        expect(stored.metadata.length).toBeLessThanOrEqual(4_096)
        const read = new PartitionSettlement(stored)
        const first = opened.find(offset => !settled.has(offset))
        expect(read.mark).toBe(first === undefined ? opened.at(-1) : first - 1)
        for (const offset of opened) expect([offset, read.isSettled(offset)]).toEqual([offset, settled.has(offset)])
        expect(read.countSettled(Infinity)).toBe([...settled].filter(offset => offset > read.mark).length)
      }),
    )
  })

  it('has room up to 20,000 above an open delivery, and the metadata hold all of it', () => {
    const settlement = new PartitionSettlement({ offset: 41, metadata: '' })
    settlement.openAt(42)
    for (let offset = 43; settlement.hasRoomFor(offset); offset++) {
      settlement.openAt(offset)
      settlement.settle(offset)
    }
    expect(settlement.examined).toBe(41 + maxAboveMark)
    const stored = settlement.stored()
    expect(stored.offset).toBe(41)
    expect(stored.metadata.length).toBeLessThanOrEqual(4_096)
    expect(new PartitionSettlement(stored).countSettled(Infinity)).toBe(maxAboveMark - 1)
    settlement.settle(42)
    expect(settlement.stored().offset).toBe(41 + maxAboveMark)
    expect(settlement.hasRoomFor(42 + maxAboveMark)).toBe(true)
  })

  it('keeps its window of bits while the mark moves on', () => {
    const settlement = new PartitionSettlement({ offset: 0, metadata: '' })
    for (let offset = 1; offset <= 200_000; offset++) {
      settlement.openAt(offset)
      // Each tenth waits for the next one.
      if (offset % 10 !== 0) settlement.settle(offset)
      if (offset % 10 === 5 && offset > 10) settlement.settle(offset - 5)
    }
    const read = new PartitionSettlement(settlement.stored())
    expect(read.mark).toBe(199_999)
    expect(read.isSettled(200_000)).toBe(false)
  })

  it('raises the attempt of what a dead owner may have held, and of nothing else', () => {
    const first = new PartitionSettlement({ offset: 0, metadata: '' })
    for (const offset of [1, 2, 3, 4, 5]) first.openAt(offset)
    first.handOut(1)
    first.handOut(3)
    first.settle(2)
    const second = new PartitionSettlement(first.stored())
    expect([1, 3, 4, 5].map(offset => second.attemptOf(offset))).toEqual([2, 2, 1, 1])
    for (const offset of [1, 3, 4, 5]) second.openAt(offset)
    second.handOut(1)
    const third = new PartitionSettlement(second.stored())
    expect([1, 3, 4, 5].map(offset => third.attemptOf(offset))).toEqual([3, 2, 1, 1])
    // A hand-over is not a death.
    third.handOut(1)
    third.handOver()
    expect(new PartitionSettlement(third.stored()).attemptOf(1)).toBe(3)
  })
})
