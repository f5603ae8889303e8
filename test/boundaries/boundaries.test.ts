import { describe, expect, it } from 'vitest'
import { describeNats, natsUrl } from '../lib/nats.ts'
import { sweep, type SweepOptions } from './sweep.ts'

// `npm run boundaries` is the full form, with controls that switch a guarantee off.

const timeout = 400_000
/** On half of the logs each turn starts from the journal. */
const plan = { at: 'driver', cold: (fatal: number) => fatal % 4 < 2, patienceMs: 30_000 } as const

/** A worker dies at each boundary, or at a sample of them: an odd step meets boundaries both before and after writes. */
async function boundaries(options: Pick<SweepOptions, 'story' | 'every' | 'nats' | 'partitions'>): Promise<number> {
  const { deaths, faults } = await sweep({ ...plan, ...options })
  expect(Object.fromEntries(faults)).toEqual({})
  return deaths
}

const title = 'wherever its worker dies, a task ends as if it had not, and its journal replays without a divergence'
const undo = 'wherever its worker dies, each step is undone once, the last first, and nothing is left open'

describe('on sqlite', () => {
  it(title, { timeout }, async () => expect(await boundaries({ story: 'task', every: 5 })).toBeGreaterThan(9))
  it(undo, { timeout }, async () => expect(await boundaries({ story: 'trip', every: 25 })).toBeGreaterThan(3))
})

describeNats('on nats', () => {
  it(title, { timeout }, async () =>
    expect(await boundaries({ nats: natsUrl(), story: 'task', every: 7 })).toBeGreaterThan(6),
  )
  it.each([1, 3])(`with partitions=%i, ${undo}`, { timeout }, async partitions =>
    expect(await boundaries({ nats: natsUrl(), story: 'trip', every: 35, partitions })).toBeGreaterThan(2),
  )
})
