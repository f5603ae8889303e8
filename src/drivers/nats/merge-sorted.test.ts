import fc from 'fast-check'
import { expect, test } from 'vitest'
import { mergeSorted } from './merge-sorted.ts'

async function* iterate<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items
}

test('sorted sequences are merged into one that is sorted, each in its own order', async () => {
  const sequences = fc.array(fc.array(fc.nat({ max: 30 }), { maxLength: 12 }), { maxLength: 5 })
  await fc.assert(
    fc.asyncProperty(sequences, async unsorted => {
      const sorted = unsorted.map(keys => keys.toSorted((a, b) => a - b))
      const merged = await Array.fromAsync(mergeSorted(sorted.map(iterate), key => key))
      expect(merged.map(({ item }) => item)).toEqual(sorted.flat().toSorted((a, b) => a - b))
      sorted.forEach((keys, source) =>
        expect(merged.filter(each => each.source === source).map(({ item }) => item)).toEqual(keys),
      )
    }),
  )
})

test('a reader that stops early closes all sequences', async () => {
  const closed: number[] = []
  async function* endless(n: number) {
    try {
      for (let i = 0; ; i++) yield i
    } finally {
      closed.push(n)
    }
  }
  for await (const { item } of mergeSorted([endless(0), endless(1)], key => key)) if (item === 3) break
  expect(closed.toSorted((a, b) => a - b)).toEqual([0, 1])
})
