import { randomUUIDv7 } from 'node:crypto'
import fc from 'fast-check'
import { expect } from 'vitest'
import { beginning, coversAll, formatCursor, isCovered, withOffset } from '../../bus/cursor.ts'
import type { Cursor, Driver, EncodedEvent, LogEntry, LogQuery } from '../../bus/driver.ts'
import { collect, until } from '../wait.ts'
import { entries, ids } from './entries.ts'
import type { Cases } from './world.ts'

/** Events of several correlations, which a log may spread over its partitions. `n` counts within a correlation. */
function mixed(count: number, correlations = 9): EncodedEvent[] {
  const chosen = Array.from({ length: correlations }, () => randomUUIDv7())
  return entries(count, n => ({
    correlationid: chosen[n % correlations]!,
    type: n % 4 === 0 ? 'job.rare' : 'job.made',
    data: { n: Math.floor(n / correlations) },
  }))
}

async function store(driver: Driver, sent: readonly EncodedEvent[]): Promise<void> {
  for (const entry of sent) await driver.publish([entry])
}

/** Reads the first `count` entries of a follower. */
async function followed(driver: Driver, after: Cursor, count: number): Promise<LogEntry[]> {
  const stop = new AbortController()
  const found: LogEntry[] = []
  if (count === 0) return found
  for await (const entry of driver.follow(after, undefined, stop.signal)) if (found.push(entry) === count) break
  stop.abort()
  return found
}

export const cursors: Cases = {
  'the number of partitions is that of the log, and each correlation is in one of them': async world => {
    const [driver, other] = [await world.open(), await world.open()]
    expect(Number.isInteger(driver.partitions) && driver.partitions > 0).toBe(true)
    expect(other.partitions).toBe(driver.partitions)
    await store(driver, mixed(60, 20))
    const byCorrelation = Map.groupBy(await collect(driver.read({})), ({ event }) => event.correlationid)
    for (const found of byCorrelation.values()) expect(new Set(found.map(s => s.position.partition)).size).toBe(1)
    const used = new Set([...byCorrelation.values()].map(found => found[0]!.position.partition))
    expect([...used].every(partition => partition >= 0 && partition < driver.partitions)).toBe(true)
    if (driver.partitions > 1) expect(used.size).toBeGreaterThan(1)
  },

  'a reading keeps the order within each correlation': async world => {
    const driver = await world.open()
    await store(driver, mixed(60))
    const byCorrelation = Map.groupBy(await collect(driver.read({})), ({ event }) => event.correlationid)
    for (const found of byCorrelation.values()) {
      expect(found.map(({ event }) => (event.data as { n: number }).n)).toEqual(found.map((_, n) => n))
      expect(found.every(({ position }, n) => n === 0 || position.offset > found[n - 1]!.position.offset)).toBe(true)
    }
  },

  'a reading that resumes after the cursor of any entry loses and repeats nothing': async world => {
    const driver = await world.open()
    const sent = mixed(40)
    await store(driver, sent)
    const queries: LogQuery[] = [
      {},
      { filter: [{ types: ['job.rare'] }] },
      { correlation: sent[0]!.event.correlationid },
      { until: await driver.head() },
    ]
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...queries), fc.array(fc.nat(12)), async (query, stops) => {
        const whole = ids(await collect(driver.read(query)))
        const seen: string[] = []
        let after = beginning
        for (const stop of [...stops, Infinity]) {
          let left = stop
          for await (const { cursor, position, event } of driver.read({ ...query, after })) {
            if (left-- <= 0) break
            expect(isCovered(after, position)).toBe(false)
            expect(isCovered(cursor, position)).toBe(true)
            expect(coversAll(cursor, after)).toBe(true)
            seen.push(event.id)
            after = cursor
          }
        }
        expect(new Set(seen).size).toBe(seen.length)
        expect(seen.toSorted()).toEqual(whole.toSorted())
      }),
      { numRuns: 40 },
    )
  },

  'a reading until the cursor of an entry yields what the first one had yielded by then': async world => {
    const driver = await world.open()
    await store(driver, mixed(30))
    const all = await collect(driver.read({}))
    for (const n of [0, 7, 15, 29]) {
      const found = await collect(driver.read({ until: all[n]!.cursor }))
      expect(ids(found).toSorted()).toEqual(ids(all.slice(0, n + 1)).toSorted())
    }
    const found = await collect(driver.read({ after: all[7]!.cursor, until: all[15]!.cursor }))
    expect(ids(found).toSorted()).toEqual(ids(all.slice(8, 16)).toSorted())
    expect(await collect(driver.read({ until: beginning }))).toEqual([])
  },

  'a reading between two cursors that differ in one partition yields what is there between them': async world => {
    const driver = await world.open()
    await store(driver, mixed(60, 20))
    const all = await collect(driver.read({}))
    const head = await driver.head()
    const reading = async (query: LogQuery) => ids(await collect(driver.read(query)))
    for (let partition = 0; partition < driver.partitions; partition++) {
      const own = all.filter(({ position }) => position.partition === partition)
      expect(await reading({ after: withOffset(head, partition, 0), until: head })).toEqual(ids(own))
      const [from, to] = [own.at(2)?.position.offset ?? 0, own.at(-3)?.position.offset ?? 0]
      const between = own.filter(({ position: { offset } }) => offset > from && offset <= to)
      const [after, until] = [withOffset(head, partition, from), withOffset(head, partition, to)]
      expect(await reading({ after, until })).toEqual(ids(between))
      const filter = [{ types: ['job.rare'] }]
      expect(await reading({ after, until, filter })).toEqual(ids(between.filter(({ event }) => event.type === 'job.rare'))) // biome-ignore format: one line
    }
  },

  'the head covers everything that was acknowledged, and nothing that comes later': async world => {
    const [driver, other] = [await world.open(), await world.open()]
    for (let round = 0; round < 5; round++) {
      const sent = mixed(10)
      const appended = (await Promise.all(sent.map(one => driver.publish([one])))).flat()
      const head = await other.head()
      expect(appended.filter(({ position }) => !isCovered(head, position))).toEqual([])
      const later = (await Promise.all(mixed(10).map(one => driver.publish([one])))).flat()
      expect(later.filter(({ position }) => isCovered(head, position))).toEqual([])
      expect(ids(await collect(other.read({ after: head })))).toHaveLength(10)
    }
  },

  'a follower that resumes while others write loses and repeats nothing': async world => {
    const [a, b, reader] = [await world.open(), await world.open(), await world.open()]
    const sent = [mixed(100), mixed(100)] as const
    const written = Promise.all([store(a, sent[0]), store(b, sent[1])])
    const seen: string[] = []
    let after = beginning
    await until(
      async () => {
        const found = await followed(reader, after, Math.min(17, 200 - seen.length))
        seen.push(...ids(found))
        after = found.at(-1)?.cursor ?? after
        return seen.length === 200
      },
      { within: 60_000 },
    )
    await written
    expect(seen.toSorted()).toEqual(ids(sent.flat()).toSorted())
    expect(await collect(reader.read({ after }))).toEqual([])
  },

  'a cursor that is malformed or of another log is refused': async world => {
    const driver = await world.open()
    const foreign = formatCursor(Array.from({ length: driver.partitions + 1 }, () => 1))
    for (const wrong of ['', 'x', '-1', '1.', foreign])
      for (const query of [{ after: wrong }, { until: wrong }])
        await expect(collect(driver.read(query))).rejects.toMatchObject({ code: 'E_REQUEST_INVALID' })
    const signal = AbortSignal.timeout(5_000)
    await expect(collect(driver.follow(foreign, undefined, signal))).rejects.toMatchObject({
      code: 'E_REQUEST_INVALID',
    })
  },
}
