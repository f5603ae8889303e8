import { expect, it } from 'vitest'
import { onEveryBus } from '../lib/world.ts'
import { gatewayKillTest } from './gateway-kills.ts'
import { isClean } from './verify.ts'

// The short form; `npm run gateway-kills` is the full one.

onEveryBus(world => {
  it('a gateway that is killed under its clients loses no event, stores none twice and sends each to its user once', {
    timeout: 120_000,
  }, async () => {
    const { place } = await world()
    const brief = { clients: 16, kills: 3, killEveryMs: 500, intervalMs: 10, patienceMs: 20_000 }
    const { differences, figures } = await gatewayKillTest({ ...place, ...brief })
    expect(differences).toSatisfy(isClean)
    // On a busy machine a kill may find no request that was stored and not answered.
    expect(figures.attempts).toBeGreaterThan(figures.requests!)
  })
})
