import { describe, expect, it } from 'vitest'
import { describeNats, natsUrl } from '../lib/nats.ts'
import { sweep } from './sweep.ts'

// `npm run boundaries` is the full form, with controls that switch a guarantee off.

const timeout = 400_000
/** On half of the logs each turn starts from the journal. */
const plan = { at: 'driver', cold: (fatal: number) => fatal % 4 < 2, patienceMs: 30_000 } as const

/** A worker dies at each boundary. */
async function everyBoundary(nats?: string): Promise<void> {
  const { deaths, faults } = await sweep({ ...plan, story: 'task', ...(nats && { nats }) })
  expect(Object.fromEntries(faults)).toEqual({})
  expect(deaths).toBeGreaterThan(50)
}

/** A sample; the odd step meets boundaries both before and after writes. */
async function someBoundaries(nats?: string, partitions = 1): Promise<void> {
  const { deaths, faults } = await sweep({ ...plan, story: 'trip', every: 15, partitions, ...(nats && { nats }) })
  expect(Object.fromEntries(faults)).toEqual({})
  expect(deaths).toBeGreaterThan(5)
}

const title = 'wherever its worker dies, a task ends as if it had not, and its journal replays without a divergence'
const undo = 'wherever its worker dies, each step is undone once, the last first, and nothing is left open'

describe('on sqlite', () => {
  it(title, { timeout }, () => everyBoundary())
  it(undo, { timeout }, () => someBoundaries())
})

describeNats('on nats', () => {
  it(title, { timeout }, () => everyBoundary(natsUrl()))
  it(undo, { timeout }, () => someBoundaries(natsUrl()))
  it(`with partitions=3, ${undo}`, { timeout }, () => someBoundaries(natsUrl(), 3))
})
