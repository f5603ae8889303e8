import { expect, it } from 'vitest'
import { onEveryBus } from '../lib/world.ts'
import { tapTrial } from './tap-trial.ts'

// The short form; `npm run tap-trial` is the full one.

onEveryBus(world => {
  it('a tap that is killed once changes no byte of any call, and records each call once', {
    timeout: 180_000,
  }, async () => {
    const { place } = await world()
    const { faults, figures } = await tapTrial({ ...place, seed: 7, calls: 120, atOnce: 8, kills: 1 })
    expect(faults).toEqual([])
    expect(figures.recorded).toBeGreaterThan(90)
  })
})
