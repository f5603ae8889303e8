import { randomUUIDv7 } from 'node:crypto'
import fc from 'fast-check'
import { expect } from 'vitest'
import type { EncodedEvent } from '../../bus/driver.ts'
import { emitId } from '../../bus/ids.ts'
import { collect, until } from '../wait.ts'
import { done, emitted, entries, entry, ids, newTask, positions, related, turn } from './entries.ts'
import { settled } from './groups.ts'
import type { Cases } from './world.ts'

/** Not for a driver whose broker has no index of ids: `storesDuplicates`. */
export const knownIds: Cases = {
  'an id within a batch twice is stored once': async world => {
    const driver = await world.open()
    const [twin, other] = related(2) as [EncodedEvent, EncodedEvent]
    const [first, between, second] = await driver.publish([twin, other, twin])
    expect(second).toEqual({ position: first!.position, duplicate: true })
    expect(between!.duplicate).toBe(false)
    expect(await collect(driver.read({}))).toHaveLength(2)
  },

  'repeating a publish stores nothing, also for another member and after a restart': async world => {
    const driver = await world.open()
    const batch = related(3)
    const first = await driver.publish(batch)
    const repeated = first.map(({ position }) => ({ position, duplicate: true }))
    expect(await driver.publish(batch)).toEqual(repeated)
    const again = await world.reopen(driver)
    expect(await again.publish(batch)).toEqual(repeated)
    expect(await (await world.open()).publish(batch)).toEqual(repeated)
    expect(ids(await collect(again.read({})))).toEqual(ids(batch))
  },

  'a batch of old and new ids stores the new ones': async world => {
    const driver = await world.open()
    const batch = related(4)
    const [old, fresh] = [batch.slice(0, 2), batch.slice(2)]
    await driver.publish(old)
    const appended = await driver.publish([old[0]!, fresh[0]!, old[1]!, fresh[1]!])
    expect(appended.map(a => a.duplicate)).toEqual([true, false, true, false])
    expect(ids(await collect(driver.read({})))).toEqual(ids([...old, ...fresh]))
  },

  'however repeats from two members interleave, each id is on the log once': async world => {
    const members = [await world.open(), await world.open()]
    const calls = fc.array(
      fc.record({ member: fc.nat(1), batch: fc.array(fc.nat(5), { minLength: 1, maxLength: 4 }) }),
      { minLength: 2, maxLength: 10 },
    )
    await fc.assert(
      fc.asyncProperty(calls, async plan => {
        const correlationid = randomUUIDv7()
        const pool = entries(6, () => ({ correlationid }))
        const sent = plan.flatMap(call => call.batch.map(n => pool[n]!.event.id))
        const results = await Promise.all(
          plan.map(call => members[call.member]!.publish(call.batch.map(n => pool[n]!))),
        )
        const stored = await collect(members[0]!.read({ correlation: correlationid }))
        expect(ids(stored).toSorted()).toEqual([...new Set(sent)].toSorted())
        const where = new Map(stored.map(s => [s.event.id, s.position]))
        const appended = results.flat()
        expect(positions(appended)).toEqual(sent.map(id => where.get(id)))
        expect(appended.filter(a => !a.duplicate)).toHaveLength(stored.length)
      }),
      { numRuns: 30 },
    )
  },

  'an emitted event whose id is on the log already is not stored again': async world => {
    const driver = await world.owner()
    const task = newTask()
    const early = emitted(task, 1, 0, { data: 'early' })
    await driver.publish([early])
    const events = [emitted(task, 1, 0, { data: 'repeated' }), emitted(task, 1, 1)]
    expect(await driver.commit(turn(task, 0, { events }))).toBe('accepted')
    expect(await driver.publish([events[1]!])).toMatchObject([{ duplicate: true }])
    const found = await collect(driver.read({ filter: [{ types: ['job.made'] }] }))
    expect(ids(found)).toEqual([emitId(task, 1, 0), emitId(task, 1, 1)])
    expect(found[0]!.event.data).toBe('early')
  },

  'a settlement whose events are on the log already settles': async world => {
    const driver = await world.open()
    const member = await world.join(driver)
    const answer = entry({ type: 'answer.given' })
    await driver.publish([answer, entry()])
    const delivery = await until(() => member.deliveries[0])
    await delivery.settle(done, [answer])
    await settled(driver)
    expect(await collect(driver.read({ filter: [{ types: ['answer.given'] }] }))).toHaveLength(1)
  },
}
