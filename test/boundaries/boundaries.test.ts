import { describe, expect, it } from 'vitest'
import { describeNats, natsUrl } from '../lib/nats.ts'
import { sweep } from './sweep.ts'

// `npm run boundaries` is the full form, with controls in which a guarantee is off.

const timeout = 180_000

/** One worker after the other dies, each one boundary later. Half of the tasks are brought back for each turn. */
async function everyBoundary(nats?: string): Promise<void> {
  const { deaths, wrong } = await sweep({
    at: 'driver',
    cold: fatal => fatal % 2 === 0,
    patience: 30_000,
    ...(nats && { nats }),
  })
  expect(Object.fromEntries(wrong)).toEqual({})
  expect(deaths).toBeGreaterThan(50)
}

const title = 'wherever its worker dies, a task ends as if it had not, and its journal replays without a divergence'

describe('on sqlite', () => {
  it(title, { timeout }, () => everyBoundary())
})

describeNats('on nats', () => {
  it(title, { timeout }, () => everyBoundary(natsUrl()))
})
