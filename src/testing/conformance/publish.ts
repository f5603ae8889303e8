import { randomUUIDv7 } from 'node:crypto'
import { setImmediate as breath } from 'node:timers/promises'
import fc from 'fast-check'
import { expect } from 'vitest'
import type { EncodedEvent } from '../../bus/driver.ts'
import { collect } from '../wait.ts'
import { entries, entry, ids, positions } from './entries.ts'
import type { Cases } from './world.ts'

const increasing = (list: readonly number[]) => list.every((value, i) => i === 0 || value > list[i - 1]!)

/** Stands for an entry that a broker refuses in the middle of a batch. */
function broken(): EncodedEvent {
  const { event } = entry()
  return {
    event,
    get json(): string {
      throw new Error('this entry cannot be stored')
    },
  }
}

export const publish: Cases = {
  'publishing resolves with increasing positions': async world => {
    const driver = await world.open()
    const appended = [...(await driver.publish(entries(3))), ...(await driver.publish(entries(1)))]
    expect(appended.map(a => a.duplicate)).toEqual([false, false, false, false])
    expect(appended[0]!.position).toBeGreaterThan(0)
    expect(positions(appended)).toSatisfy(increasing)
  },

  'publishing nothing resolves with nothing': async world => {
    const driver = await world.open()
    expect(await driver.publish([])).toEqual([])
    expect(await driver.head()).toBe(0)
  },

  'what one member publishes after another has published lies behind it': async world => {
    const [a, b] = [await world.open(), await world.open()]
    const appended = []
    for (const driver of [a, b, a, b, b, a]) appended.push(...(await driver.publish(entries(2))))
    expect(positions(appended)).toSatisfy(increasing)
  },

  'the publishes of one member lie in the order in which they were called': async world => {
    const driver = await world.open()
    const sent = entries(200)
    const appended = await Promise.all(sent.map(one => driver.publish([one])))
    expect(positions(appended.flat())).toSatisfy(increasing)
    expect(ids(await collect(driver.read({})))).toEqual(ids(sent))
  },

  'a batch is seen whole or not at all': async world => {
    const [writer, reader] = [await world.open(), await world.open()]
    const size = 40
    let writing = true
    const written = Promise.all(Array.from({ length: 25 }, () => writer.publish(entries(size)))).finally(() => {
      writing = false
    })
    while (writing) {
      expect((await collect(reader.read({}))).length % size).toBe(0)
      await breath()
    }
    await written
    expect(await collect(reader.read({}))).toHaveLength(25 * size)
  },

  'a batch that fails leaves nothing, and does no harm to others at the same time': async world => {
    const driver = await world.open()
    const [before, failing, after] = [entries(5), entries(5), entries(5)]
    const attempts = await Promise.allSettled(
      [before, [...failing, broken(), entry()], after].map(async batch => driver.publish(batch)),
    )
    expect(attempts.map(a => a.status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(ids(await collect(driver.read({})))).toEqual(ids([...before, ...after]))
  },

  'an id within a batch twice is stored once': async world => {
    const driver = await world.open()
    const twin = entry()
    const [first, between, second] = await driver.publish([twin, entry(), twin])
    expect(second).toEqual({ position: first!.position, duplicate: true })
    expect(between!.duplicate).toBe(false)
    expect(await collect(driver.read({}))).toHaveLength(2)
  },

  'repeating a publish is inert, also for another member and after a restart': async world => {
    const driver = await world.open()
    const batch = entries(3)
    const first = await driver.publish(batch)
    const repeated = first.map(({ position }) => ({ position, duplicate: true }))
    expect(await driver.publish(batch)).toEqual(repeated)
    const again = await world.reopen(driver)
    expect(await again.publish(batch)).toEqual(repeated)
    expect(await (await world.open()).publish(batch)).toEqual(repeated)
    expect(ids(await collect(again.read({})))).toEqual(ids(batch))
  },

  'of two events with one id the first stays as it is': async world => {
    const driver = await world.open()
    const first = entry({ data: 'first' })
    await driver.publish([first])
    await driver.publish([entry({ id: first.event.id, data: 'second' })])
    expect((await driver.get(first.event.id, first.event.correlationid))?.event).toEqual(first.event)
  },

  'a batch of old and new ids stores the new ones': async world => {
    const driver = await world.open()
    const [old, fresh] = [entries(2), entries(2)]
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

  'the text of an event is stored unchanged': async world => {
    const driver = await world.open()
    const data = {
      text: 'ß 漢字 🙂 \u0000 \u2028 \ud800 "\\\n',
      floats: [0.1 + 0.2, 5e-324, 1.7976931348623157e308, 9007199254740992, 1e21],
      big: 'x'.repeat(1_000_000),
      nested: { empty: {}, list: [[], [null, false]], '': 'nameless' },
    }
    const odd = entry({ data, subject: "it's 100 % \\_ ;--", user: 'Zoë' })
    await driver.publish([odd])
    expect(JSON.stringify((await driver.get(odd.event.id, odd.event.correlationid))?.event)).toBe(odd.json)
    await fc.assert(
      fc.asyncProperty(fc.json({ maxDepth: 4 }), async json => {
        const one = entry({ data: JSON.parse(json) })
        await driver.publish([one])
        expect(JSON.stringify((await driver.get(one.event.id, one.event.correlationid))?.event)).toBe(one.json)
      }),
      { numRuns: 50 },
    )
  },
}
