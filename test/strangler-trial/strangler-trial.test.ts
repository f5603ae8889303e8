import { expect, test } from 'vitest'
import { onAnyBus } from '../lib/world.ts'
import { stranglerTrial } from './trial.ts'

// The short form; `npm run strangler-trial` is the full one, with more faults, more servers, and a broker that goes away.

onAnyBus(world => {
  test('an agent takes over under load, and is rolled back when it fails', { timeout: 180_000 }, async () => {
    const { place } = await world()
    const { stages, rollbacks, isMonotone } = await stranglerTrial({
      ...place,
      servers: 2,
      users: 20,
      clients: 4,
      pauseMs: 20,
      stageMs: 300,
      restart: false,
      faults: ['fails'],
    })
    expect(stages.map(({ name, requests }) => [name, requests > 0])).toEqual(stages.map(({ name }) => [name, true]))
    expect(stages.flatMap(({ lost, errors, wrong, unsteady }) => [lost, errors, wrong, unsteady.length])).toEqual(
      stages.flatMap(() => [0, 0, 0, 0]),
    )
    expect(isMonotone).toBe(true)
    expect(stages.map(({ candidate, requests }) => candidate / requests).at(-1)).toBe(1)
    expect(rollbacks).toMatchObject([{ fault: 'fails', lost: 0 }])
  })
})
