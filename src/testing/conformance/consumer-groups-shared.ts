import { setImmediate as breath, setTimeout as pause } from 'node:timers/promises'
import { expect } from 'vitest'
import type { Delivery } from '../../bus/driver.ts'
import { until } from '../wait.ts'
import { discard, done, entries, entry, ids, park } from './entries.ts'
import { settled } from './groups.ts'
import type { Cases } from './world.ts'

export const shared: Cases = {
  'each event goes to exactly one member': async world => {
    const [a, b] = [await world.open(), await world.open()]
    const members = [await world.join(a, { on: () => done }), await world.join(b, { on: () => done })]
    const sent = entries(200)
    for (let n = 0; n < sent.length; n += 20) await (n % 40 ? a : b).publish(sent.slice(n, n + 20))
    await settled(a)
    const received = members.flatMap(m => ids(m.deliveries))
    expect(received.toSorted()).toEqual(ids(sent).toSorted())
  },

  'a delivery carries the event as it was published, its group, and attempt 1': async world => {
    const driver = await world.open()
    const started = Date.now()
    const member = await world.join(driver)
    const one = entry({ data: { text: 'ß 🙂', list: [1.5, null] }, target: 'writer', user: 'zoe' })
    await driver.publish([one])
    const delivery = await until(() => member.deliveries[0])
    expect(delivery.event).toEqual(one.event)
    expect(delivery).toMatchObject({ group: 'jobs', attempt: 1 })
    expect(delivery.since).toBeGreaterThanOrEqual(started - 1_000)
    expect(delivery.since).toBeLessThanOrEqual(Date.now() + 1_000)
  },

  'a delivery is a copy: changing it has no effect on other receivers, the publisher or the log': async world => {
    const driver = await world.open()
    const spoil = ({ event }: Pick<Delivery, 'event'>) => Object.assign(event.data as object, { spoilt: true })
    const groups = [
      { group: 'jobs' },
      { group: 'others' },
      { group: 'tasks', mode: 'sharded' as const },
      { group: 'tasks-too', mode: 'sharded' as const },
    ]
    const members = await Promise.all(groups.map(group => world.join(driver, group)))
    // Also if a driver delivers events to sharded groups before they are on disk.
    for (const n of [1, 2, 3]) {
      const one = entry({ data: { n } })
      const before = structuredClone(one.event)
      await driver.publish([one])
      for (const { deliveries } of members) {
        const delivery = await until(() => deliveries[n - 1])
        expect(delivery.event).toEqual(before)
        spoil(delivery)
        await delivery.settle(done)
      }
      expect(one.event).toEqual(before)
      spoil((await driver.get(before.id, before.correlationid))!)
      expect((await driver.get(before.id, before.correlationid))!.event).toEqual(before)
    }
  },

  'a group takes only what its filter matches, by type and by target': async world => {
    const driver = await world.open()
    const filter = [{ types: ['tool.invoke'], targets: ['search', 'fetch', 'mail.>'] }, { types: ['job.*'] }]
    const member = await world.join(driver, { filter, on: () => done })
    const matching = [
      entry({ type: 'tool.invoke', target: 'search' }),
      entry({ type: 'job.made', target: 'anybody' }),
      entry({ type: 'tool.invoke', target: 'fetch' }),
      entry({ type: 'tool.invoke', target: 'mail.send' }),
    ]
    const others = [
      entry({ type: 'tool.invoke', target: 'print' }),
      entry({ type: 'tool.invoke', target: 'mail' }),
      entry({ type: 'tool.invoke' }),
      entry({ type: 'job.made.twice' }),
      entry({ type: 'tool.result', target: 'search' }),
    ]
    await driver.publish([...others, ...matching, ...others.map(({ event: { type } }) => entry({ type }))])
    await settled(driver)
    expect(ids(member.deliveries).toSorted()).toEqual(ids(matching).toSorted())
  },

  'a member holds no more than its window': async world => {
    const driver = await world.open()
    const member = await world.join(driver, { maxInFlight: 3 })
    await driver.publish(entries(10))
    for (let taken = 0; taken < 10; taken++) {
      const full = Math.min(10, taken + 3)
      await until(() => member.deliveries.length === full, { what: `${full} deliveries after ${taken} are settled` })
      await driver.publish([entry({ type: 'other' })])
      expect(member.deliveries).toHaveLength(full)
      await member.deliveries[taken]!.settle(done)
    }
  },

  'all members together hold no more than the limit of the group': async world => {
    const members = [await world.open(), await world.open()]
    let busy = 0
    let most = 0
    for (const driver of members)
      await world.join(driver, {
        maxInFlight: 8,
        limit: 3,
        on: async () => {
          most = Math.max(most, ++busy)
          await pause(3)
          busy--
          return done
        },
      })
    await members[0]!.publish(entries(60))
    await settled(members[0]!)
    expect(most).toBeLessThanOrEqual(3)
    expect(most).toBeGreaterThan(1)
  },

  'what a paused member does not use of the limit is for the others': async world => {
    const [driver, other] = [await world.open(), await world.open()]
    const pausing = await world.join(driver, { maxInFlight: 2, limit: 2 })
    await driver.publish(entries(1))
    await until(() => pausing.deliveries.length === 1)
    const staying = await world.join(other, { maxInFlight: 2, limit: 2, on: () => done })
    pausing.consumer.pause()
    await other.publish(entries(10))
    await until(() => staying.deliveries.length === 10)
    await pausing.deliveries[0]!.settle(done)
    await settled(other)
    expect(pausing.deliveries).toHaveLength(1)
  },

  'a window that is freed is filled although nothing new is published': async world => {
    const [driver, other] = [await world.open(), await world.open()]
    const member = await world.join(driver, { maxInFlight: 1, limit: 1, on: () => done })
    const late = await world.join(other, { maxInFlight: 1, limit: 1, on: () => done })
    await driver.publish(entries(40))
    await settled(driver)
    expect(member.deliveries.length + late.deliveries.length).toBe(40)
  },

  'a backlog of 5,000 events goes through a window of 16, each once': async world => {
    const driver = await world.open()
    for (let n = 0; n < 5_000; n += 1_000) await driver.publish(entries(1_000))
    const member = await world.join(driver, {
      maxInFlight: 16,
      on: async () => {
        await breath()
        return done
      },
    })
    await settled(driver, 'jobs', 90_000)
    expect(member.maxInFlight).toBeLessThanOrEqual(16)
    expect(member.deliveries).toHaveLength(5_000)
    expect(new Set(ids(member.deliveries)).size).toBe(5_000)
  },

  'two groups are independent': async world => {
    const driver = await world.open()
    const stuck = await world.join(driver, { group: 'stuck', maxInFlight: 1 })
    const parking = await world.join(driver, { group: 'parking', on: () => park('no') })
    const working = await world.join(driver, { group: 'working', on: () => done })
    const sent = entries(20)
    await driver.publish(sent)
    await settled(driver, 'working')
    await until(() => parking.deliveries.length === 20)
    expect(ids(working.deliveries).toSorted()).toEqual(ids(sent).toSorted())
    await until(() => stuck.deliveries.length === 1)
  },

  'a new group starts from now, or from the beginning': async world => {
    const [driver, other] = [await world.open(), await world.open()]
    const before = entries(3)
    await other.publish(before)
    const now = await world.join(driver, { group: 'now', from: 'now', on: () => done })
    const beginning = await world.join(driver, { group: 'beginning', from: 'beginning', on: () => done })
    const after = entries(2)
    await other.publish(after)
    await until(() => now.deliveries.length >= 2 && beginning.deliveries.length >= 5)
    await settled(driver, 'now')
    await settled(driver, 'beginning')
    expect(ids(now.deliveries).toSorted()).toEqual(ids(after).toSorted())
    expect(ids(beginning.deliveries).toSorted()).toEqual(ids([...before, ...after]).toSorted())
  },

  'a group that is provisioned gets what is published before its first member joins': async world => {
    const [driver, other] = [await world.open(), await world.open()]
    await other.publish([entry()])
    const options = { filter: [{ types: ['job.>'] }], from: 'now' } as const
    for (const mode of ['shared', 'sharded'] as const) await driver.createGroup({ ...options, group: mode, mode })
    const before = entries(20)
    await other.publish(before)
    // Repeated by another member: an existing group stays unchanged.
    for (const mode of ['shared', 'sharded'] as const) await other.createGroup({ ...options, group: mode, mode })
    expect((await driver.listGroups()).map(({ group, lag }) => [group, lag])).toEqual([
      ['sharded', 20],
      ['shared', 20],
    ])
    for (const mode of ['shared', 'sharded'] as const) {
      const member = await world.join(other, { ...options, group: mode, mode, on: () => done })
      await settled(driver, mode)
      expect(ids(member.deliveries).toSorted()).toEqual(ids(before).toSorted())
    }
  },

  'the open deliveries of a closed member go to another': async world => {
    const [driver, other] = [await world.open(), await world.open()]
    const leaving = await world.join(driver)
    await driver.publish(entries(6))
    const [first, second, ...rest] = await until(() => leaving.deliveries.length === 6 && leaving.deliveries)
    const staying = await world.join(other, { on: () => done })
    await first!.settle(done)
    await second!.settle(done)
    await leaving.consumer.close()
    await until(() => staying.deliveries.length >= 4)
    await settled(other)
    expect(ids(staying.deliveries).toSorted()).toEqual(ids(rest).toSorted())
  },

  'the open deliveries of a closed process are delivered after its restart': async world => {
    const driver = await world.open()
    const before = await world.join(driver)
    await driver.publish(entries(6))
    const [first, ...rest] = await until(() => before.deliveries.length === 6 && before.deliveries)
    await first!.settle(done)
    const again = await world.reopen(driver)
    const after = await world.join(again, { on: () => done })
    await until(() => after.deliveries.length >= 5)
    await settled(again)
    expect(ids(after.deliveries).toSorted()).toEqual(ids(rest).toSorted())
  },

  'settling late, when another member has the delivery and is done, changes nothing': async world => {
    const [driver, other] = [await world.open(), await world.open()]
    const slow = await world.join(driver)
    await driver.publish([entry()])
    const lost = await until(() => slow.deliveries[0])
    await slow.consumer.close()
    const quick = await world.join(other, { on: () => done })
    await until(() => quick.deliveries.length === 1)
    await settled(other)
    await lost.settle(discard('too late')).catch(() => {})
    expect(await Array.fromAsync(other.listDeferred())).toEqual([])
    await settled(other)
    await other.publish([entry()])
    await until(() => quick.deliveries.length === 2)
  },
}
