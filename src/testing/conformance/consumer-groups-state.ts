import { expect } from 'vitest'
import { until } from '../wait.ts'
import { done, entries, entry, ids } from './entries.ts'
import { settled, lookUpGroup } from './groups.ts'
import type { Cases } from './world.ts'

const inMode = (mode: 'shared' | 'sharded'): Cases => ({
  [`${mode}: a group continues where it was after a restart, whatever its \`from\``]: async world => {
    const [driver, publisher] = [await world.open(), await world.open()]
    await world.join(driver, { group: 'a', mode, from: 'now', on: () => done })
    await world.join(driver, { group: 'b', mode, from: 'now', on: () => done })
    await publisher.publish(entries(5))
    await settled(driver, 'a')
    await settled(driver, 'b')
    await world.close(driver)
    const meanwhile = entries(4)
    await publisher.publish(meanwhile)
    const again = await world.open()
    const a = await world.join(again, { group: 'a', mode, from: 'now', on: () => done })
    const b = await world.join(again, { group: 'b', mode, from: 'beginning', on: () => done })
    await until(() => a.deliveries.length >= 4 && b.deliveries.length >= 4)
    await settled(again, 'a')
    await settled(again, 'b')
    expect(ids(a.deliveries).toSorted()).toEqual(ids(meanwhile).toSorted())
    expect(ids(b.deliveries).toSorted()).toEqual(ids(meanwhile).toSorted())
  },

  [`${mode}: a group has members as long as one of them is there`]: async world => {
    const [a, b] = [await world.open(), await world.open()]
    expect(await a.hasMembers('jobs')).toBe(false)
    await b.createGroup({ group: 'jobs', mode, filter: [{ types: ['job.>'] }], from: 'now' })
    expect(await a.hasMembers('jobs')).toBe(false)
    const { consumer } = await world.join(b, { mode })
    const other = await world.join(b, { mode })
    await until(() => a.hasMembers('jobs'))
    expect(await a.hasMembers('others')).toBe(false)
    await consumer.close()
    await until(() => a.hasMembers('jobs'))
    await other.consumer.close()
    await until(async () => !(await a.hasMembers('jobs')))
  },
})

export const groupState: Cases = {
  ...inMode('shared'),
  ...inMode('sharded'),

  'a group says how far it is behind, and what is in flight': async world => {
    const [driver, other] = [await world.open(), await world.open()]
    expect(await driver.listGroups()).toEqual([])
    const member = await world.join(driver, { maxInFlight: 4 })
    expect(await lookUpGroup(driver)).toEqual({ group: 'jobs', mode: 'shared', lag: 0, inFlight: 0 })
    await driver.publish(entries(10))
    await until(() => member.deliveries.length === 4)
    // From each other partition one may wait for room.
    const holdsFour = async () => {
      const { inFlight } = (await lookUpGroup(driver))!
      return inFlight >= 4 && inFlight < 4 + driver.partitions
    }
    expect(await lookUpGroup(driver)).toMatchObject({ group: 'jobs', mode: 'shared', lag: 10 })
    expect(await lookUpGroup(other)).toMatchObject({ group: 'jobs', mode: 'shared', lag: 10 })
    expect(await holdsFour()).toBe(true)
    for (const delivery of member.deliveries.slice(0, 3)) await delivery.settle(done)
    await until(() => member.deliveries.length === 7)
    expect(await lookUpGroup(driver)).toMatchObject({ lag: 7 })
    expect(await holdsFour()).toBe(true)
    await world.join(driver, { group: 'shards', mode: 'sharded', on: () => done })
    await settled(driver, 'shards')
    expect(await lookUpGroup(driver, 'shards')).toMatchObject({ mode: 'sharded', inFlight: 0 })
  },

  'a group keeps its lag while no member is there': async world => {
    const [driver, other] = [await world.open(), await world.open()]
    await world.join(driver)
    await driver.publish(entries(3))
    await world.close(driver)
    await other.publish(entries(2))
    expect(await lookUpGroup(other)).toMatchObject({ lag: 5 })
  },

  'the lag is never less than what matches and is not settled, and 0 when all of it is': async world => {
    const driver = await world.open()
    const mixed = entries(40, n => ({ type: n % 4 ? 'other' : 'job.made' }))
    const member = await world.join(driver, { maxInFlight: 100 })
    await driver.publish(mixed)
    await until(() => member.deliveries.length === 10)
    const lag = (await lookUpGroup(driver))!.lag
    expect(lag).toBeGreaterThanOrEqual(10)
    expect(lag).toBeLessThanOrEqual(40)
    for (const delivery of member.deliveries) await delivery.settle(done)
    await driver.publish([entry({ type: 'other' })])
    await settled(driver)
  },
}
