import { randomUUIDv7 } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { expect } from 'vitest'
import type { Driver } from '../../bus/driver.ts'
import { shardOf } from '../../bus/ids.ts'
import { until } from '../wait.ts'
import { done, entries, entry, ids } from './entries.ts'
import { settled, slow } from './groups.ts'
import type { Cases, Member, World } from './world.ts'

const mode = 'sharded'

const shardsOf = (driver: Driver, deliveries: Member['deliveries']) =>
  new Set(deliveries.map(d => shardOf(d.event.correlationid, driver.shards)))

/** Publishes events of many correlations until every member receives some: then the shards are spread. */
async function spread(world: World, driver: Driver, members: readonly Member[]): Promise<void> {
  if (driver.shards < members.length) world.skip('the log has fewer shards than the group has members')
  const seen = members.map(m => m.deliveries.length)
  await until(
    async () => {
      await driver.publish(entries(driver.shards))
      return members.every((m, i) => m.deliveries.length > seen[i]!)
    },
    { ...slow, what: 'every member to own some shard' },
  )
  await settled(driver)
}

export const sharded: Cases = {
  'a member alone owns every shard': async world => {
    const driver = await world.open()
    const member = await world.join(driver, { mode, on: () => done })
    const sent = entries(driver.shards * 4)
    await driver.publish(sent)
    await settled(driver)
    expect(ids(member.deliveries).toSorted()).toEqual(ids(sent).toSorted())
  },

  'shards are spread over members, and each event goes to the owner of its shard': async world => {
    const [a, b] = [await world.open(), await world.open()]
    const members = [
      await world.join(a, { mode, on: () => done, maxInFlight: 64 }),
      await world.join(b, { mode, on: () => done, maxInFlight: 64 }),
    ]
    await spread(world, a, members)
    const owned = await until(
      async () => {
        for (const member of members) member.deliveries.length = 0
        await b.publish(entries(a.shards * 8))
        await settled(b)
        const [mine, yours] = members.map(m => shardsOf(a, m.deliveries))
        return mine!.isDisjointFrom(yours!) && [mine!, yours!]
      },
      { ...slow, what: 'no shard to have two owners' },
    )
    for (const shards of owned) expect(shards.size).toBeGreaterThan(0)
  },

  'events of one correlation are first handed out in the order of the log': async world => {
    const driver = await world.open()
    const correlations = Array.from({ length: 12 }, () => randomUUIDv7())
    const sent = entries(600, n => ({ data: { n }, correlationid: correlations[(n * 7) % 12]! }))
    const member = await world.join(driver, {
      mode,
      maxInFlight: 8,
      on: async ({ event }) => {
        await pause((event.data as { n: number }).n % 4)
        return done
      },
    })
    for (let n = 0; n < sent.length; n += 30) await driver.publish(sent.slice(n, n + 30))
    await settled(driver)
    expect(member.maxInFlight).toBeLessThanOrEqual(8)
    const firsts = member.deliveries.filter(d => d.attempt === 1)
    for (const correlation of correlations)
      expect(ids(firsts.filter(d => d.event.correlationid === correlation))).toEqual(
        ids(sent.filter(({ event }) => event.correlationid === correlation)),
      )
  },

  'a member holds no more than its window, and one stuck task does not stop it': async world => {
    const driver = await world.open()
    const stuck = randomUUIDv7()
    const member = await world.join(driver, {
      mode,
      maxInFlight: 4,
      on: ({ event }) => (event.correlationid === stuck ? undefined : done),
    })
    const others = entries(60)
    await driver.publish([entry({ correlationid: stuck }), ...others])
    await until(() => ids(others).every(id => ids(member.deliveries).includes(id)))
    expect(member.deliveries).toHaveLength(61)
  },

  'a member that joins gets its share of the shards, and the other one is notified of its losses': async world => {
    const [a, b] = [await world.open(), await world.open()]
    const first = await world.join(a, { mode, on: () => done })
    await a.publish(entries(a.shards * 2))
    await settled(a)
    expect(first.lost).toEqual([])
    const second = await world.join(b, { mode, on: () => done })
    await spread(world, a, [first, second])
    await until(() => first.lost.length > 0)
    const moved = shardsOf(b, second.deliveries)
    await until(() => [...moved].every(shard => first.lost.includes(shard)))
  },

  'when a member leaves the other gets everything unsettled': async world => {
    const [a, b] = [await world.open(), await world.open()]
    let holding = false
    const on = () => (holding ? undefined : done)
    const leaving = await world.join(a, { mode, on, maxInFlight: 500 })
    const staying = await world.join(b, { mode, on: () => done, maxInFlight: 500 })
    await spread(world, a, [leaving, staying])
    holding = true
    leaving.deliveries.length = 0
    const sent = entries(200)
    await a.publish(sent)
    await until(() => leaving.deliveries.length > 0)
    await leaving.consumer.close()
    await settled(b)
    const received = new Set(ids(staying.deliveries))
    expect(ids(sent).filter(id => !received.has(id))).toEqual([])
  },

  'when a process closes the other takes over its shards': async world => {
    const [a, b] = [await world.open(), await world.open()]
    const leaving = await world.join(a, { mode, on: () => done })
    const staying = await world.join(b, { mode, on: () => done })
    await spread(world, a, [leaving, staying])
    await world.close(a)
    staying.deliveries.length = 0
    const sent = entries(b.shards * 4)
    await b.publish(sent)
    await settled(b)
    expect(ids(staying.deliveries).toSorted()).toEqual(ids(sent).toSorted())
  },

  'nothing is lost while members come and go': async world => {
    const publisher = await world.open()
    const settledIds = new Set<string>()
    const work = async (driver: Driver) =>
      world.join(driver, {
        mode,
        maxInFlight: 8,
        on: async delivery => {
          await pause(8)
          // A member that lost the shard may be rejected; the new owner then has the delivery.
          await delivery.settle(done).then(
            () => settledIds.add(delivery.event.id),
            () => {},
          )
          return undefined
        },
      })
    const sent = entries(800)
    const published = (async () => {
      for (let n = 0; n < sent.length; n += 20) {
        await publisher.publish(sent.slice(n, n + 20))
        await pause(10)
      }
    })()
    const members = [await world.open()]
    await work(members[0]!)
    for (let round = 0; round < 4; round++) {
      const next = await world.open()
      await work(next)
      const seen = settledIds.size
      await until(() => settledIds.size === sent.length || settledIds.size > seen + 40, slow)
      await world.close(members.shift()!)
      members.push(next)
    }
    await published
    await until(() => settledIds.size === sent.length, { ...slow, what: 'everything to be settled' })
    await settled(publisher)
  },
}
