import { randomUUIDv7 } from 'node:crypto'
import { expect } from 'vitest'
import { beginning, isCovered } from '../../bus/cursor.ts'
import type { Driver } from '../../bus/driver.ts'
import { correlationOf } from '../../bus/ids.ts'
import { collect, until } from '../wait.ts'
import { discard, done, emitted, entries, entry, hour, ids, newTask, park, positions, turn } from './entries.ts'
import { settled } from './groups.ts'
import type { Cases } from './world.ts'

const time = new Date(Date.now() - 10 * hour).toISOString()
const old = (count: number) => entries(count, n => ({ time, data: { n } }))
/** Old events of one correlation. They are in one partition: each partition may have a horizon of its own. */
const oldOf = (correlationid: string, count: number) => entries(count, n => ({ time, correlationid, data: { n } }))
const retention = { maxAgeMs: hour, maxLag: 1_000_000 }

const left = async (driver: Driver) => ids(await collect(driver.read({})))

export const janitor: Cases = {
  'what is older than the age is purged, what is younger stays': async world => {
    const driver = await world.open()
    const young = entries(5)
    const gone = old(20)
    await driver.publish([...gone, ...young])
    const purged = await driver.purge(retention)
    expect(purged.events).toBe(20)
    expect(purged.heldBy).toContain('age')
    expect((await left(driver)).toSorted()).toEqual(ids(young).toSorted())
    expect(await driver.get(gone[0]!.event.id, gone[0]!.event.correlationid)).toBeUndefined()
    expect((await driver.purge(retention)).events).toBe(0)
  },

  'a long log is purged, also in the presence of another member': async world => {
    const [driver, other] = [await world.open(), await world.open()]
    for (let n = 0; n < 6_000; n += 1_000) await driver.publish(old(1_000))
    const young = entries(3)
    const purging = driver.purge(retention)
    await other.publish(young)
    await purging
    await driver.purge(retention)
    expect((await left(other)).toSorted()).toEqual(ids(young).toSorted())
  },

  'a live task keeps its journal; after its end a purge may remove it': async world => {
    const driver = await world.owner()
    const task = newTask()
    const call = emitted(task, 1, 0, { time })
    await driver.publish(oldOf(correlationOf(task), 3))
    await driver.commit(turn(task, 0, { time, events: [call] }))
    const between = oldOf(correlationOf(task), 3)
    await driver.publish(between)
    const journal = await driver.journal(task)
    const purged = await driver.purge(retention)
    expect(purged.events).toBe(3)
    expect(purged.heldBy).toContain(task)
    expect(await driver.journal(task)).toEqual(journal)
    expect(await left(driver)).toEqual(expect.arrayContaining(ids(between)))
    await driver.commit(turn(task, 1, { time, end: true }))
    await driver.purge(retention)
    expect(await left(driver)).toEqual([])
  },

  'a task that begins during a purge keeps its journal': async world => {
    const driver = await world.owner()
    for (let round = 0; round < 10; round++) {
      const tasks = Array.from({ length: 20 }, () => newTask())
      const purging = driver.purge(retention)
      for (const task of tasks) await driver.commit(turn(task, 0, { time }))
      await purging
      for (const task of tasks) expect((await driver.journal(task)).records).toHaveLength(1)
      // Ended, so that they do not hold back the next purge.
      for (const task of tasks) await driver.commit(turn(task, 1, { time, end: true }))
    }
  },

  'a snapshot lets go of the turns before it': async world => {
    const driver = await world.owner()
    const task = newTask()
    await driver.commit(turn(task, 0, { time, events: [emitted(task, 1, 0, { time })] }))
    const between = oldOf(correlationOf(task), 3)
    await driver.publish(between)
    await driver.commit(turn(task, 1, { time, snapshot: 'state' }))
    await driver.commit(turn(task, 2, { time }))
    const journal = await driver.journal(task)
    await driver.purge(retention)
    expect(await driver.get(between[0]!.event.id, between[0]!.event.correlationid)).toBeUndefined()
    expect(await (await world.reopenOwner(driver)).journal(task)).toEqual(journal)
  },

  'what a live task needs stays with all after it in its partition': async world => {
    const driver = await world.owner()
    const task = newTask()
    await driver.publish(old(20))
    await driver.commit(turn(task, 0, { time }))
    const later = positions(await driver.publish(old(20)))
    const purged = await driver.purge(retention)
    expect(purged.events).toBeGreaterThanOrEqual(20)
    expect((await driver.journal(task)).records).toHaveLength(1)
    const [first] = (await collect(driver.read({ task }))).map(({ position }) => position)
    const needed = [first!, ...later.filter(({ partition }) => partition === first!.partition)]
    const stored = (await collect(driver.read({}))).map(({ position }) => position)
    expect(stored).toEqual(expect.arrayContaining(needed))
    expect(stored).toHaveLength(41 - purged.events)
  },

  'nothing is purged that a group has not settled': async world => {
    const driver = await world.open()
    const member = await world.join(driver, { maxInFlight: 3 })
    const sent = oldOf(randomUUIDv7(), 6)
    await driver.publish([...entries(2, () => ({ time, type: 'other' })), ...sent])
    await until(() => member.deliveries.length === 3)
    await member.deliveries[0]!.settle(done)
    await member.deliveries[1]!.settle(done)
    const purged = await driver.purge(retention)
    expect(purged.heldBy).toContain('jobs')
    const rest = ids(sent.slice(2))
    expect((await left(driver)).filter(id => rest.includes(id)).toSorted()).toEqual(rest.toSorted())
    const again = await world.reopen(driver)
    await again.purge(retention)
    const after = await world.join(again, { on: () => done })
    await until(() => after.deliveries.length === 4)
    expect(ids(after.deliveries).toSorted()).toEqual(rest.toSorted())
    await settled(again)
    await again.purge(retention)
    expect(await left(again)).toEqual([])
  },

  'a group that is too far behind is reported, and no longer delays a purge': async world => {
    const driver = await world.open()
    const stuck = await world.join(driver, { group: 'stuck', maxInFlight: 1 })
    await driver.publish(oldOf(randomUUIDv7(), 50))
    await until(() => stuck.deliveries.length === 1)
    const purged = await driver.purge({ maxAgeMs: hour, maxLag: 10 })
    expect(purged.heldBy).toContain('stuck')
    expect(purged.events).toBeGreaterThanOrEqual(39)
    await stuck.consumer.close()
    const member = await world.join(driver, { group: 'stuck', on: () => done })
    const fresh = entries(3)
    await driver.publish(fresh)
    await until(() => ids(fresh).every(id => ids(member.deliveries).includes(id)))
    await settled(driver, 'stuck')
  },

  'deferred deliveries keep their events, and can be redelivered': async world => {
    const driver = await world.open()
    let first = true
    const member = await world.join(driver, {
      on: ({ event }) => (first ? (event.subject === 'dead' ? discard('no') : park('later', 'k')) : done),
    })
    const kept = [entry({ time, subject: 'dead' }), entry({ time, subject: 'parked' })]
    await driver.publish(kept)
    await until(async () => (await collect(driver.listDeferred())).length === 2)
    first = false
    await driver.publish(old(10))
    await until(() => member.deliveries.length === 12)
    await driver.purge(retention)
    const list = await collect(driver.listDeferred())
    expect(list.map(a => a.event)).toEqual(expect.arrayContaining(kept.map(k => k.event)))
    for (const { id } of list) await driver.redeliver({ id })
    await until(() => member.deliveries.length === 14)
    expect(ids(member.deliveries.slice(12)).toSorted()).toEqual(ids(kept).toSorted())
    expect(member.deliveries.slice(12).map(d => d.event)).toEqual(expect.arrayContaining(kept.map(k => k.event)))
  },

  'positions go on increasing after everything was purged, also after a restart': async world => {
    const driver = await world.open()
    const correlationid = randomUUIDv7()
    const more = (count: number) => entries(count, n => ({ time, correlationid, data: { n } }))
    let last = positions(await driver.publish(more(10))).at(-1)!
    expect((await driver.purge(retention)).events).toBe(10)
    const [next] = positions(await driver.publish(more(1)))
    expect(next!.partition).toBe(last.partition)
    expect(next!.offset).toBeGreaterThan(last.offset)
    last = next!
    await driver.purge(retention)
    const again = await world.reopen(driver)
    expect(positions(await again.publish([entry({ correlationid })]))[0]!.offset).toBeGreaterThan(last.offset)
    expect(await left(again)).toHaveLength(1)
  },

  'the horizon covers what a purge removed, for every member and after a restart, and never moves back':
    async world => {
      const [driver, other] = [await world.open(), await world.open()]
      expect(await driver.horizon()).toBe(beginning)
      const at = positions(await driver.publish(old(20)))
      const kept = positions(await driver.publish(entries(5)))
      expect(await other.horizon()).toBe(beginning)
      await driver.purge(retention)
      const covered = async (member: Driver) => {
        const horizon = await member.horizon()
        return [...at, ...kept].map(position => isCovered(horizon, position))
      }
      const expected = [...at.map(() => true), ...kept.map(() => false)]
      expect(await covered(driver)).toEqual(expected)
      expect(await covered(other)).toEqual(expected)
      await driver.purge({ ...retention, maxAgeMs: 20 * hour })
      expect(await covered(await world.reopen(driver))).toEqual(expected)
    },

  'a log that was purged whole has its horizon at its head': async world => {
    const driver = await world.open()
    await driver.publish(old(20))
    const head = await driver.head()
    await driver.purge(retention)
    expect([await driver.horizon(), await driver.head()]).toEqual([head, head])
  },

  'an id that was purged may be published again: it is stored as a new event, or still known': async world => {
    const driver = await world.open()
    const [one] = old(1)
    const [before] = await driver.publish([one!])
    await driver.purge(retention)
    const [again] = await driver.publish([one!])
    if (again!.duplicate) expect(again!.position).toEqual(before!.position)
    else expect((await driver.get(one!.event.id, one!.event.correlationid))?.position).toEqual(again!.position)
  },

  'a task whose journal was purged takes no more turns': async world => {
    const driver = await world.owner()
    const task = newTask()
    await driver.commit(turn(task, 0, { time }))
    await driver.commit(turn(task, 1, { time, end: true }))
    await driver.purge(retention)
    const again = await world.reopenOwner(driver)
    await again.purge(retention)
    for (const expected of [0, 1, 2]) expect(await again.commit(turn(task, expected))).toBe('conflict')
  },

  'a group does not notice the purge of what it has settled': async world => {
    const driver = await world.open()
    const member = await world.join(driver, { on: () => done })
    for (let round = 1; round <= 3; round++) {
      await driver.publish(old(10))
      await until(() => member.deliveries.length === round * 10)
      await settled(driver)
      expect((await driver.purge(retention)).events).toBe(10)
    }
    expect(await driver.listGroups()).toEqual([{ group: 'jobs', mode: 'shared', lag: 0, inFlight: 0 }])
  },
}
