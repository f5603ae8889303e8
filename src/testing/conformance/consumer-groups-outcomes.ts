import { expect } from 'vitest'
import type { DeliveryOutcome } from '../../bus/driver.ts'
import { collect, until } from '../wait.ts'
import { because, discard, done, entries, entry, ids, park, retry } from './entries.ts'
import { settled, lookUpGroup } from './groups.ts'
import type { Cases } from './world.ts'

/** The outcomes are the same for both modes of a group. */
const inMode = (mode: 'shared' | 'sharded'): Cases => ({
  [`${mode}: done removes, also after a restart`]: async world => {
    const driver = await world.open()
    const before = await world.join(driver, { mode, on: () => done })
    await driver.publish(entries(10))
    await until(async () => before.deliveries.length === 10 && (await lookUpGroup(driver))?.lag === 0)
    const again = await world.reopen(driver)
    const after = await world.join(again, { mode, on: () => done })
    const marker = entry()
    await again.publish([marker])
    await until(async () => after.deliveries.length > 0 && (await lookUpGroup(again))?.lag === 0)
    expect(ids(after.deliveries)).toEqual([marker.event.id])
  },

  [`${mode}: retry hands out again with the next attempt, not before its time, and holds no slot meanwhile`]:
    async world => {
      const driver = await world.open()
      const [slow, quick] = entries(2)
      const at: number[] = []
      const member = await world.join(driver, {
        mode,
        maxInFlight: 1,
        on: ({ event, attempt }) => {
          if (event.id !== slow!.event.id) return done
          at.push(Date.now())
          // Long enough that a busy machine delivers the other event first.
          return attempt > 2 ? done : retry(attempt === 1 ? 2_000 : 300)
        },
      })
      await driver.publish([slow!])
      await until(() => at.length === 1)
      await driver.publish([quick!])
      await until(() => ids(member.deliveries).includes(quick!.event.id))
      expect(at).toHaveLength(1)
      await until(async () => at.length === 3 && (await lookUpGroup(driver))?.lag === 0)
      expect(member.deliveries.filter(d => d.event.id === slow!.event.id).map(d => d.attempt)).toEqual([1, 2, 3])
      expect(at[1]! - at[0]!).toBeGreaterThanOrEqual(2_000)
      expect(at[2]! - at[1]!).toBeGreaterThanOrEqual(300)
    },

  [`${mode}: a retry survives a restart, and does not come early by it`]: async world => {
    const driver = await world.open()
    const before = await world.join(driver, { mode })
    await driver.publish([entry()])
    const first = await until(() => before.deliveries[0])
    const settling = Date.now()
    await first.settle(retry(400))
    const again = await world.reopen(driver)
    let at = 0
    const after = await world.join(again, {
      mode,
      on: () => {
        at = Date.now()
        return done
      },
    })
    await until(() => after.deliveries.length === 1)
    // A broker that does not count deliveries may count the restart.
    expect(after.deliveries[0]!.attempt).toBeGreaterThanOrEqual(2)
    expect(at - settling).toBeGreaterThanOrEqual(400)
  },

  [`${mode}: the memo of a retry comes with the next delivery, also after a member died, until a person redelivers it`]:
    async world => {
      const driver = await world.open()
      const before = await world.join(driver, { mode })
      await driver.publish([entry()])
      const first = await until(() => before.deliveries[0])
      expect(first.memo).toBeUndefined()
      await first.settle({ ...retry(0), memo: '1 0 1795000000000' } as DeliveryOutcome)
      await until(() => before.deliveries[1])
      const reopened = await world.reopen(driver)
      const after = await world.join(reopened, { mode })
      const second = await until(() => after.deliveries[0])
      expect(second.memo).toBe('1 0 1795000000000')
      await second.settle(park('stuck', 'a'))
      await until(async () => (await reopened.redeliver({ key: 'a' })) === 1)
      const third = await until(() => after.deliveries[1])
      expect(third.attempt).toBe(1)
      expect(third.memo).toBeUndefined()
      await third.settle(done)
    },

  [`${mode}: discard keeps the event on the list of deferred deliveries as dead, and hands it out no more`]:
    async world => {
      const driver = await world.open()
      const bad = entry()
      const member = await world.join(driver, {
        mode,
        on: ({ event, attempt }) => {
          if (event.id !== bad.event.id) return done
          return attempt === 1 ? retry(0) : discard('broken beyond repair')
        },
      })
      await driver.publish([bad])
      const [dead] = await until(async () => {
        const list = await collect(driver.listDeferred())
        return list[0]?.state === 'dead' && list
      })
      expect(dead).toMatchObject({ state: 'dead', group: 'jobs', attempts: 2, reason: because('broken beyond repair') })
      expect(dead!.event).toEqual(bad.event)
      await driver.publish(entries(5))
      await until(() => member.deliveries.length === 7)
      expect(ids(member.deliveries).filter(id => id === bad.event.id)).toHaveLength(2)
    },

  [`${mode}: park keeps the event on the list of deferred deliveries, holds no slot, and is never retried automatically`]:
    async world => {
      const driver = await world.open()
      const odd = entry()
      const outcomeOf = new Map<string, DeliveryOutcome>([[odd.event.id, park('the code does not fit', 'program:a')]])
      const member = await world.join(driver, {
        mode,
        maxInFlight: 1,
        on: ({ event, attempt }) => outcomeOf.get(event.id) ?? (attempt === 1 ? retry(150) : done),
      })
      await driver.publish([odd])
      const [parked] = await until(async () => {
        const list = await collect(driver.listDeferred())
        return list.length === 1 && list
      })
      expect(parked).toMatchObject({ state: 'parked', group: 'jobs', attempts: 1, key: 'program:a' })
      expect(parked).toMatchObject({ reason: because('the code does not fit'), event: odd.event })
      await driver.publish(entries(3))
      await until(() => member.deliveries.filter(d => d.attempt === 2).length === 3)
      const again = await world.reopen(driver)
      const after = await world.join(again, { mode, on: () => done })
      await again.publish([entry()])
      await until(() => after.deliveries.length === 1)
      expect(ids([...member.deliveries, ...after.deliveries]).filter(id => id === odd.event.id)).toHaveLength(1)
    },

  [`${mode}: settling with events publishes them with it, for every outcome`]: async world => {
    const driver = await world.open()
    const answers = entries(4, n => ({ type: 'answer.given', data: { n } }))
    const outcomes = [done, retry(0), discard('no'), park('later')]
    const member = await world.join(driver, { mode })
    await driver.publish(entries(4))
    await until(() => member.deliveries.length === 4)
    for (const [n, outcome] of outcomes.entries()) await member.deliveries[n]!.settle(outcome, [answers[n]!])
    const found = await collect(driver.read({ filter: [{ types: ['answer.given'] }] }))
    expect(found.map(s => s.event)).toEqual(expect.arrayContaining(answers.map(a => a.event)))
    expect(found).toHaveLength(answers.length)
  },
})

export const outcomes: Cases = {
  ...inMode('shared'),
  ...inMode('sharded'),

  'the events of a settlement reach other groups': async world => {
    const driver = await world.open()
    await world.join(driver, {
      on: async delivery => {
        await delivery.settle(done, [entry({ type: 'answer.given', causationid: delivery.event.id })])
        return undefined
      },
    })
    const answered = await world.join(driver, { group: 'answers', filter: [{ types: ['answer.*'] }], on: () => done })
    const sent = entries(20)
    await driver.publish(sent)
    await until(() => answered.deliveries.length >= 20)
    expect(answered.deliveries.map(d => d.event.causationid ?? '').toSorted()).toEqual(ids(sent).toSorted())
  },

  'a settlement whose events cannot be stored does not settle': async world => {
    const driver = await world.open()
    const member = await world.join(driver)
    await driver.publish([entry()])
    const delivery = await until(() => member.deliveries[0])
    const good = entry({ type: 'answer.given' })
    const broken = {
      event: entry({ type: 'answer.given' }).event,
      get json(): string {
        throw new Error('this entry cannot be stored')
      },
    }
    await expect((async () => delivery.settle(done, [good, broken]))()).rejects.toThrow()
    expect(await driver.get(good.event.id, good.event.correlationid)).toBeUndefined()
    expect((await lookUpGroup(driver))?.lag).toBe(1)
  },

  'a paused member gets no more deliveries, and may settle those that it has': async world => {
    const [driver, other] = [await world.open(), await world.open()]
    const paused = await world.join(driver, { maxInFlight: 2 })
    await driver.publish(entries(2))
    await until(() => paused.deliveries.length === 2)
    paused.consumer.pause()
    const taking = await world.join(other, { on: () => done })
    await driver.publish(entries(20))
    for (const delivery of paused.deliveries) await delivery.settle(done)
    await until(() => taking.deliveries.length === 20)
    expect(paused.deliveries).toHaveLength(2)
    await settled(driver)
  },
}
