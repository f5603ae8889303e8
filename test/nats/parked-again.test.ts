import { randomUUID } from 'node:crypto'
import { expect, it, onTestFinished } from 'vitest'
import { openNats } from '../../src/drivers/nats/index.ts'
import { collect, until } from '../../src/testing/wait.ts'
import { describeNats, natsUrl } from '../lib/nats.ts'
import { entry } from './lib/broker.ts'

describeNats('redelivery', () => {
  it('counts entries that are parked again before the call ends', async () => {
    const driver = await openNats({ url: `${natsUrl()}/${randomUUID()}` })
    onTestFinished(() => driver.close())
    const park = { kind: 'park', key: 'k', reason: { code: 'E_RECORD_INVALID', message: 'no' } } as const
    await driver.subscribe({
      group: 'jobs',
      mode: 'shared',
      filter: [{ types: ['job.>'] }],
      maxInFlight: 16,
      from: 'beginning',
      onDelivery: delivery => void delivery.settle(park),
    })
    await driver.publish(Array.from({ length: 20 }, () => entry()))
    const parked = () => collect(driver.listDeferred())
    for (let n = 0; n < 10; n++) {
      await until(async () => (await parked()).length === 20)
      expect(await driver.redeliver({ key: 'k' })).toBe(20)
    }
  })
})
