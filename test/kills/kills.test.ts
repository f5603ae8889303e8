import { expect, it } from 'vitest'
import { killTest } from './kills.ts'
import { isClean } from './verify.ts'

// The short form; `npm run kills` is the full one, with a control run for each guarantee.

it('workers that are killed and stopped at random lose nothing, fork nothing, apply nothing twice', {
  timeout: 120_000,
}, async () => {
  const report = await killTest({ tasks: 100, kills: 8, stops: 1, workers: 3, patience: 30_000 })
  expect(report).toSatisfy(isClean)
})

it('the same without structural dedup does not come out clean', { timeout: 120_000 }, async () => {
  const report = await killTest({ tasks: 100, kills: 8, stops: 0, workers: 3, control: 'dedup', patience: 5_000 })
  expect(report).not.toSatisfy(isClean)
})
