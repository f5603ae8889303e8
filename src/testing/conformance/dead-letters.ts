import { expect } from 'vitest'
import type { DeferredDelivery, Driver, DeliveryOutcome } from '../../bus/driver.ts'
import { collect, until } from '../wait.ts'
import { discard, done, entries, entry, ids, park, retry } from './entries.ts'
import { settled } from './groups.ts'
import type { Cases, Member, World } from './world.ts'

/** A member that settles the first delivery of an event with the outcome in its data, and the next one as done. */
const obedient = (world: World, driver: Driver): Promise<Member> => {
  const seen = new Set<string>()
  return world.join(driver, {
    on: ({ event }) => {
      if (seen.has(event.id)) return done
      seen.add(event.id)
      return event.data as DeliveryOutcome
    },
  })
}

const listed = (driver: Driver, count: number) =>
  until(
    async () => {
      const list = await collect(driver.listDeferred())
      return list.length === count && list
    },
    { what: `${count} entries on the attention list` },
  )

const withOutcome = (outcome: DeliveryOutcome) => entry({ data: outcome })

export const deadLetters: Cases = {
  'what needs a human is listed by every member, and after a restart': async world => {
    const [driver, other] = [await world.open(), await world.open()]
    await obedient(world, driver)
    const sent = [
      withOutcome(discard('dead')),
      withOutcome(park('parked', 'k')),
      withOutcome(park('keyless')),
      withOutcome(retry(600_000, 'slow')),
    ]
    await driver.publish([...sent, withOutcome(done)])
    const view = (list: DeferredDelivery[]) =>
      list.map(a => `${a.state} ${a.reason.message} ${a.key} ${a.event.id}`).toSorted()
    const words = ['dead dead undefined', 'parked parked k', 'parked keyless undefined', 'delayed slow undefined']
    const expected = sent.map(({ event }, n) => `${words[n]} ${event.id}`)
    expect(view(await listed(driver, 4))).toEqual(expected.toSorted())
    expect(view(await listed(other, 4))).toEqual(expected.toSorted())
    const again = await world.reopen(driver)
    const list = await listed(again, 4)
    expect(view(list)).toEqual(expected.toSorted())
    expect(new Set(list.map(a => a.id)).size).toBe(4)
  },

  'redelivering an entry hands it out again with attempt 1, and takes it off the list': async world => {
    const driver = await world.open()
    const member = await obedient(world, driver)
    const sent = [withOutcome(discard('no')), withOutcome(park('later', 'k')), withOutcome(retry(600_000))]
    await driver.publish(sent)
    for (const { id } of await listed(driver, 3)) expect(await driver.redeliver({ id })).toBe(1)
    await until(() => member.deliveries.length === 6)
    expect(ids(member.deliveries.slice(3)).toSorted()).toEqual(ids(sent).toSorted())
    expect(member.deliveries.map(d => d.attempt)).toEqual([1, 1, 1, 1, 1, 1])
    await listed(driver, 0)
    expect(await driver.redeliver({ id: '123456' })).toBe(0)
  },

  'releasing by key hands out everything that is parked under it, and nothing else': async world => {
    const [driver, other] = [await world.open(), await world.open()]
    const member = await obedient(world, driver)
    const mine = Array.from({ length: 5 }, (_, n) => withOutcome(park(`later ${n}`, 'program:a')))
    await driver.publish([
      ...mine,
      withOutcome(park('later', 'program:b')),
      withOutcome(park('later')),
      withOutcome(discard('program:a')),
    ])
    await listed(driver, 8)
    expect(await other.redeliver({ key: 'program:a' })).toBe(5)
    await until(() => member.deliveries.length === 13)
    expect(ids(member.deliveries.slice(8)).toSorted()).toEqual(ids(mine).toSorted())
    await listed(driver, 3)
    expect(await driver.redeliver({ key: 'program:a' })).toBe(0)
  },

  'dropping an entry ends it permanently': async world => {
    const driver = await world.open()
    const member = await obedient(world, driver)
    await driver.publish([withOutcome(discard('no')), withOutcome(park('later', 'k'))])
    const [first, second] = await listed(driver, 2)
    expect(await driver.discard(first!.id)).toBe(true)
    expect(await driver.discard(first!.id)).toBe(false)
    expect((await listed(driver, 1))[0]!.id).toBe(second!.id)
    expect(await driver.discard(second!.id)).toBe(true)
    expect(await driver.redeliver({ key: 'k' })).toBe(0)
    expect(await driver.redeliver({ id: first!.id })).toBe(0)
    await driver.publish([withOutcome(done)])
    await until(() => member.deliveries.length === 3)
    await settled(driver)
  },

  'what is redelivered while no member is there waits for one': async world => {
    const [driver, other] = [await world.open(), await world.open()]
    await obedient(world, driver)
    const one = withOutcome(park('later', 'k'))
    await driver.publish([one])
    await listed(driver, 1)
    await world.close(driver)
    expect(await other.redeliver({ key: 'k' })).toBe(1)
    const member = await world.join(other, { on: () => done })
    await until(() => member.deliveries.length === 1)
    expect(member.deliveries[0]).toMatchObject({ attempt: 1, event: one.event })
  },

  'an event that is dead for one group is not so for another': async world => {
    const driver = await world.open()
    await world.join(driver, { group: 'strict', on: () => discard('not for me') })
    const kind = await world.join(driver, { group: 'kind', on: () => done })
    await driver.publish(entries(3))
    await until(() => kind.deliveries.length === 3)
    expect((await listed(driver, 3)).map(a => a.group)).toEqual(['strict', 'strict', 'strict'])
  },
}
