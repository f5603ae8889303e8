import { randomUUIDv7 } from 'node:crypto'
import { setImmediate as breath } from 'node:timers/promises'
import fc from 'fast-check'
import { expect } from 'vitest'
import { beginning } from '../../bus/cursor.ts'
import type { EncodedEvent, Position } from '../../bus/driver.ts'
import { collect } from '../wait.ts'
import { entries, entry, ids, positions, related } from './entries.ts'
import type { Cases } from './world.ts'

/** Of events of one correlation, which are in one partition. */
const increasing = (list: readonly Position[]) =>
  list.every(
    ({ partition, offset }, i) => i === 0 || (partition === list[0]!.partition && offset > list[i - 1]!.offset),
  )

/** Simulates an entry in the middle of a batch that a broker rejects. */
function broken(correlationid: string): EncodedEvent {
  const { event } = entry({ correlationid })
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
    const [a, b, c, d] = related(4) as [EncodedEvent, EncodedEvent, EncodedEvent, EncodedEvent]
    const appended = [...(await driver.publish([a, b, c])), ...(await driver.publish([d]))]
    expect(appended.map(a => a.duplicate)).toEqual([false, false, false, false])
    expect(appended[0]!.position.offset).toBeGreaterThan(0)
    expect(positions(appended)).toSatisfy(increasing)
  },

  'publishing nothing resolves with nothing': async world => {
    const driver = await world.open()
    expect(await driver.publish([])).toEqual([])
    expect(await driver.head()).toBe(beginning)
  },

  'an event published after another one, by any member, has a later position': async world => {
    const [a, b] = [await world.open(), await world.open()]
    const sent = related(12)
    const appended = []
    for (const driver of [a, b, a, b, b, a]) appended.push(...(await driver.publish(sent.splice(0, 2))))
    expect(positions(appended)).toSatisfy(increasing)
  },

  'the publishes of one member are stored in the order of their calls': async world => {
    const driver = await world.open()
    const sent = related(200)
    const appended = await Promise.all(sent.map(one => driver.publish([one])))
    expect(positions(appended.flat())).toSatisfy(increasing)
    expect(ids(await collect(driver.read({})))).toEqual(ids(sent))
  },

  'a batch is seen whole or not at all': async world => {
    const [writer, reader] = [await world.open(), await world.open()]
    const size = 40
    let writing = true
    const written = Promise.all(Array.from({ length: 25 }, () => writer.publish(related(size)))).finally(() => {
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
    const [before, failing, after] = [related(5), related(5), related(5)]
    const attempts = await Promise.allSettled(
      [before, [...failing, broken(failing[0]!.event.correlationid)], after].map(async batch => driver.publish(batch)),
    )
    expect(attempts.map(a => a.status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    const stored = ids(await collect(driver.read({})))
    expect(stored.toSorted()).toEqual(ids([...before, ...after]).toSorted())
  },

  'a batch of several correlations is stored in order within each, also if it fails and is repeated': async world => {
    const driver = await world.open()
    const correlations = Array.from({ length: 5 }, () => randomUUIDv7())
    const batch = entries(20, n => ({ correlationid: correlations[n % 5]! }))
    const failing = batch.toSpliced(10, 1, broken(correlations[0]!))
    await expect((async () => driver.publish(failing))()).rejects.toThrow()
    const storedOf = async (correlation: string) => [...new Set(ids(await collect(driver.read({ correlation }))))]
    const sentOf = (correlation: string) => ids(batch.filter(({ event }) => event.correlationid === correlation))
    for (const each of correlations) {
      const stored = await storedOf(each)
      expect(stored).toEqual(sentOf(each).slice(0, stored.length))
    }
    await driver.publish(batch)
    for (const each of correlations) expect(await storedOf(each)).toEqual(sentOf(each))
  },

  'of two events with one id the first stays as it is': async world => {
    const driver = await world.open()
    const first = entry({ data: 'first' })
    await driver.publish([first])
    await driver.publish([entry({ id: first.event.id, data: 'second' })])
    expect((await driver.get(first.event.id, first.event.correlationid))?.event).toEqual(first.event)
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
