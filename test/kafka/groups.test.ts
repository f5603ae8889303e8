import { randomUUID } from 'node:crypto'
import { Admin } from '@platformatic/kafka'
import { expect, it } from 'vitest'
import type { Delivery, Driver, Subscription } from '../../src/bus/driver.ts'
import { openKafka } from '../../src/drivers/kafka/index.ts'
import { done, entries, ids } from '../../src/testing/conformance/entries.ts'
import { lookUpGroup, settled } from '../../src/testing/conformance/groups.ts'
import { until } from '../../src/testing/wait.ts'
import { describeKafka, kafkaBootstrap } from '../lib/kafka.ts'

const openOn = async (log: string) =>
  openKafka({ url: `kafka://${await kafkaBootstrap()}/${log}?partitions=2&lease=2000` })

async function join(
  driver: Driver,
  { isHolding = false, ...options }: Partial<Subscription> & { isHolding?: boolean },
) {
  const deliveries: Delivery[] = []
  const consumer = await driver.subscribe({
    group: 'jobs',
    mode: 'shared',
    filter: [{ types: ['job.>'] }],
    maxInFlight: 16,
    from: 'beginning',
    ...options,
    onDelivery: delivery => {
      deliveries.push(delivery)
      if (!isHolding) void delivery.settle(done)
    },
  })
  return { consumer, deliveries }
}

describeKafka('groups on Kafka', () => {
  it('a member ends what it works on after its partition has moved, and nobody else gets it', async () => {
    const log = `held-${randomUUID()}`
    const [a, b] = [await openOn(log), await openOn(log)]
    const first = await join(a, { isHolding: true, limit: 4 })
    await a.publish(entries(4))
    const held = await until(() => first.deliveries.length === 4 && first.deliveries)
    const second = await join(b, { limit: 4 })
    first.consumer.pause()
    // All of it uses the limit, so that the other member gets nothing.
    await until(async () => (await lookUpGroup(b))?.inFlight === 4)
    const more = entries(3)
    await a.publish(more)
    await held[0]!.settle(done)
    await held[1]!.settle({ kind: 'retry', after: 0, reason: { code: 'E_INTERNAL', message: 'again' } })
    await until(() => second.deliveries.length === 4)
    expect(ids(second.deliveries).toSorted()).toEqual([...ids(more), held[1]!.event.id].toSorted())
    expect(second.deliveries.find(({ event }) => event.id === held[1]!.event.id)?.attempt).toBe(2)
    await until(async () => (await lookUpGroup(b))?.lag === 2)
    expect(await lookUpGroup(b)).toMatchObject({ inFlight: 2 })
    // What it leaves unfinished goes to the other member.
    await first.consumer.close()
    await settled(b)
    expect(ids(second.deliveries)).toEqual(expect.arrayContaining(ids(held.slice(2))))
    await Promise.all([a.close(), b.close()])
  })

  it('a group keeps its place although the broker has forgotten its offsets', async () => {
    const log = `forgotten-${randomUUID()}`
    const driver = await openOn(log)
    for (const mode of ['shared', 'sharded'] as const) {
      const before = await join(driver, { group: mode, mode })
      await driver.publish(entries(5))
      await settled(driver, mode)
      await before.consumer.close()
    }
    const admin = new Admin({ clientId: 'test', bootstrapBrokers: [await kafkaBootstrap()] })
    await admin.deleteGroups({ groups: [`${log}.shared`, `${log}.sharded`] })
    await admin.close()
    const fresh = entries(1)
    await driver.publish(fresh)
    for (const [mode, expected] of [
      ['shared', 6],
      ['sharded', 1],
    ] as const) {
      // biome-ignore format: one row
      const after = await join(driver, { group: mode, mode })
      await settled(driver, mode)
      expect(after.deliveries).toHaveLength(expected)
      expect(ids(after.deliveries)).toEqual(expect.arrayContaining(ids(fresh)))
    }
    await driver.close()
  })
})
