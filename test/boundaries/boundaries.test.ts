import { describe, expect, it } from 'vitest'
import { describeNats, natsUrl } from '../lib/nats.ts'
import { sweep } from './sweep.ts'

// `npm run boundaries` is the full form, with controls in which a guarantee is off.

const timeout = 180_000
/** Half of the tasks are brought back for each turn. */
const plan = { at: 'driver', cold: (fatal: number) => fatal % 4 < 2, patience: 30_000 } as const

/** One worker after the other dies, each one boundary later. */
async function everyBoundary(nats?: string): Promise<void> {
  const { deaths, wrong } = await sweep({ ...plan, story: 'task', ...(nats && { nats }) })
  expect(Object.fromEntries(wrong)).toEqual({})
  expect(deaths).toBeGreaterThan(50)
}

/** A sample. An odd step comes both before and behind writes. */
async function someBoundaries(nats?: string): Promise<void> {
  const { deaths, wrong } = await sweep({ ...plan, story: 'trip', every: 15, ...(nats && { nats }) })
  expect(Object.fromEntries(wrong)).toEqual({})
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
})
