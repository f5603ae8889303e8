import fc from 'fast-check'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, onTestFinished, test } from 'vitest'
import { MemoryDriver } from '../src/testing/memory/driver.ts'
import { MemoryLog } from '../src/testing/memory/log.ts'
import { Bus } from '../src/bus/bus.ts'
import type { Driver, DeliveryOutcome } from '../src/bus/driver.ts'
import { emitId, resultId, taskId, turnId } from '../src/bus/ids.ts'
import { openSqlite } from '../src/drivers/sqlite/index.ts'
import { createEvent, type CloudEvent, type Draft } from '../src/event.ts'
import { openBus } from '../src/runtime/environment.ts'
import { until } from '../src/testing/wait.ts'
import { withIndex } from '../src/trace/index/open.ts'
import { launch, tidings } from './lib/cli.ts'
import { dumpIndex } from './lib/index-dump.ts'
import { onEveryBus, type World } from './lib/world.ts'

/* The index is a projection: whatever became of it, it says what it would say had it been built now. */

const correlations = ['01900000-0000-7000-8000-000000000001', '01900000-0000-7000-8000-00000000000a']
const begin = Date.parse('2020-01-01T00:00:00.000Z')

/** Events whose ids, calls and turns have to do with each other, or seem to. */
const someEvent = fc
  .record({
    correlation: fc.constantFrom(...correlations),
    task: fc.constantFrom('a', 'b'),
    version: fc.integer({ min: 1, max: 4 }),
    kind: fc.constantFrom('outside', 'turn', 'request', 'answer', 'model'),
    end: fc.option(fc.constantFrom('completed', 'failed'), { nil: undefined, freq: 4 }),
    closes: fc.integer({ min: 1, max: 4 }),
    tokens: fc.nat(100),
    text: fc.string({ maxLength: 20, unit: 'grapheme' }),
  })
  .map(({ correlation, task: program, version, kind, end, closes, tokens, text }, n = 0) => (nth: number) => {
    const task = taskId(correlation, program, 'start')
    const call = emitId(task, version, 0)
    const shape = {
      outside: { id: `outside-${nth}`, type: 'order.paid', data: { text, n } },
      request: { id: call, type: 'tool.invoke', target: 'web.search', data: { input: text } },
      answer: { id: resultId(call), type: 'tool.result', call, data: { output: text } },
      model: { id: resultId(call), type: tokens % 5 === 0 ? 'model.failed' : 'model.result', source: '/models/m', user: `u${tokens % 3}`, tenant: tokens % 2 ? 'acme' : 'default', call, data: { usage: { input: tokens, output: 1 }, cost: tokens / 7 } },
      turn: {
        id: turnId(task, version),
        type: 'task.turn',
        data: {
          program, programVersion: version, programHash: `hash-${program}`, version, at: begin + nth,
          inputs: [{ id: 'x', call: emitId(task, closes, 0) }],
          emits: [{ id: call, type: 'tool.invoke', hash: '', wait: { target: 'web.search', until: null } }], end,
        },
      },
    }[kind] // biome-ignore format: one table
    const event = createEvent({ correlationid: correlation, source: `/agents/${program}`, ...(shape as Draft) })
    return { ...event, time: new Date(begin + nth * 60_000).toISOString() }
  })

const put = (driver: Driver, events: readonly CloudEvent[]) =>
  driver.publish(events.map(event => ({ event, json: JSON.stringify(event) })))

const folder = async () => {
  const made = await mkdtemp(join(tmpdir(), 'tidings-index-'))
  onTestFinished(() => rm(made, { recursive: true, force: true }))
  return made
}

/** The index as it is, and as it would be were it built now. */
async function bothOf(bus: Bus, file: string) {
  const fresh = `${file}.fresh`
  await rm(fresh, { force: true })
  await withIndex(bus, file, () => {})
  await withIndex(bus, fresh, () => {})
  return { now: dumpIndex(file), fresh: dumpIndex(fresh) }
}

test.each([
  ['one partition', (home: string) => openSqlite({ home, synchronous: 'off' as const })],
  ['three partitions', async () => new MemoryDriver(new MemoryLog({ partitions: 3 }))],
])('an index updated while a log with %s grows and is purged equals one built at the end', async (_, open) => {
  let runs = 0
  const home = await folder()
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(someEvent, { minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 5 }),
      fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 5, maxLength: 5 }),
      async (batches, purges) => {
        const own = join(home, `${++runs}`)
        const driver: Driver = await open(own)
        const bus = new Bus(driver)
        const file = join(own, 'index.db')
        let nth = 0
        try {
          for (const [i, batch] of batches.entries()) {
            await put(
              driver,
              batch.map(make => make(nth++)),
            )
            await withIndex(bus, file, () => {})
            const horizon = begin + (purges[i]! < 0.5 ? 0 : purges[i]! - 0.5) * nth * 60_000
            await driver.purge({ maxAgeMs: Date.now() - horizon, maxLag: 0 })
          }
          const { now, fresh } = await bothOf(bus, file)
          // An index that grew still knows the newest event of a partition that is empty now.
          if (bus.partitions > 1) for (const dump of [now, fresh]) delete dump.state
          expect(now).toEqual(fresh)
        } finally {
          await driver.close()
        }
      },
    ),
    { numRuns: 15 },
  )
  expect(runs).toBeGreaterThanOrEqual(15)
})

const plain = (n: number, type = 'order.paid') =>
  Array.from({ length: n }, (_, i) => createEvent({ type, data: { i } }))

onEveryBus(world => {
  const opened = async ({ place }: World) => {
    const bus = await openBus(place)
    onTestFinished(() => bus.driver.close())
    return { bus, file: join(place.home, 'index/test.db') }
  }

  test('events that the janitor removes leave the index, and the others stay', async () => {
    const { bus, file } = await opened(await world())
    const { driver } = bus
    await driver.createGroup({ group: 'g', filter: [{ types: ['order.>'] }], mode: 'shared', from: 'now' })
    await put(
      driver,
      plain(40).map(event => ({ ...event, time: new Date(begin).toISOString() })),
    )
    const outcome = (i: number): DeliveryOutcome =>
      i === 3 ? { kind: 'discard', reason: { code: 'E_TEST', message: 'no luck' } } : { kind: 'done' }
    let settled = 0
    const consumer = await driver.subscribe({
      group: 'g', filter: [{ types: ['order.>'] }], mode: 'shared', from: 'now', maxInFlight: 10,
      onDelivery: delivery =>
        void delivery.settle(outcome((delivery.event.data as { i: number }).i)).then(() => settled++),
    }) // biome-ignore format: one subscription
    await until(() => settled === 40)
    await consumer.close()
    await put(driver, plain(5, 'order.late'))
    await withIndex(bus, file, () => {})
    expect(dumpIndex(file).events).toHaveLength(45)
    const { events } = await driver.purge({ maxAgeMs: 3_600_000, maxLag: 0 })
    // The one that is dead stays on the embedded log, among what is gone; NATS keeps it aside.
    expect(events).toBe(driver.name === 'sqlite' ? 39 : 40)
    await put(driver, plain(3))
    const { now, fresh } = await bothOf(bus, file)
    expect(now).toEqual(fresh)
    expect(now.events).toHaveLength(48 - events)
  })

  test('another log under the same name is recognised', async () => {
    const [first, second] = [await opened(await world()), await opened(await world())]
    await put(first.bus.driver, plain(20))
    await put(second.bus.driver, plain(30, 'order.other'))
    await withIndex(first.bus, first.file, () => {})
    const { now, fresh } = await bothOf(second.bus, first.file)
    expect(now).toEqual(fresh)
    // Now back: this one is shorter.
    const back = await bothOf(first.bus, first.file)
    expect(back.now).toEqual(back.fresh)
    expect(new Set((back.now.events as { type: string }[]).map(({ type }) => type))).toEqual(new Set(['order.paid']))
  })

  test('three processes build one index at once', async () => {
    const { place } = await world()
    const bus = await openBus(place)
    for (let i = 0; i < 12; i++) await put(bus.driver, plain(1_000))
    const answers = await Promise.all([1, 2, 3].map(() => tidings(place, ['trace', '--limit', '500', '--json'])))
    expect(answers.map(({ stderr }) => stderr)).toEqual(['', '', ''])
    expect(new Set(answers.map(({ stdout }) => stdout)).size).toBe(1)
    const { now, fresh } = await bothOf(bus, await fileIn(place.home))
    await bus.driver.close()
    expect(now).toEqual(fresh)
  })
})

/** Where the command line put the index of a log. */
async function fileIn(home: string): Promise<string> {
  const [name] = (await readdir(join(home, 'index'))).filter(each => each.endsWith('.db'))
  return join(home, 'index', name!)
}

describe('a file', () => {
  const logOf = async (events: number) => {
    const home = await folder()
    const bus = new Bus(await openSqlite({ home }))
    onTestFinished(() => bus.driver.close())
    for (let left = events; left > 0; left -= 1_000) await put(bus.driver, plain(Math.min(left, 1_000)))
    return { bus, home, place: { home, bus: 'sqlite' }, file: join(home, 'index/embedded.db') }
  }

  test('is consistent after its builder was killed at any time', async () => {
    const { bus, place, file } = await logOf(25_000)
    const readUpTo = () => {
      if (!existsSync(file)) return 0
      const db = new DatabaseSync(file, { readOnly: true, timeout: 5_000 })
      try {
        return Number((db.prepare('SELECT cursor FROM state').get() as { cursor: string }).cursor)
      } finally {
        db.close()
      }
    }
    let seen = 0
    let kills = 0
    // Each is killed as soon as it has written something.
    while (kills < 3) {
      const builder = launch(place, ['trace'])
      const gone = once(builder, 'exit')
      await until(() => readUpTo() > seen || builder.exitCode !== null, { within: 20_000 })
      builder.kill('SIGKILL')
      await gone
      if (builder.exitCode !== null) break
      seen = readUpTo()
      kills++
    }
    expect(kills).toBeGreaterThan(0)
    const { now, fresh } = await bothOf(bus, file)
    expect(now).toEqual(fresh)
  })

  test.each(['its beginning', 'its middle'])('that was overwritten in %s is rebuilt', async where => {
    const { bus, file } = await logOf(3_000)
    await withIndex(bus, file, () => {})
    const bytes = readFileSync(file)
    bytes.fill(
      'garbage ',
      where === 'its beginning' ? 0 : 8_192,
      where === 'its beginning' ? 100 : bytes.length - 8_192,
    )
    writeFileSync(file, bytes)
    const found = await withIndex(bus, file, index => index.search('order', { limit: 5_000 }).length)
    expect(found).toBe(3_000)
    const { now, fresh } = await bothOf(bus, file)
    expect(now).toEqual(fresh)
  })

  test('that cannot be written is replaced by an index in memory, with a notice', async () => {
    const { home, place, bus } = await logOf(10)
    writeFileSync(join(home, 'index'), 'no folder')
    const { code, stdout, stderr } = await tidings(place, ['find', 'order', '--json'])
    expect({ code, lines: stdout.split('\n').length - 1 }).toEqual({ code: 0, lines: 10 })
    expect(stderr).toContain('E_INDEX_UNAVAILABLE')
    expect(stderr).toContain('in memory')
    await expect(withIndex(bus, join(home, 'index/x.db'), () => {})).rejects.toMatchObject({
      code: 'E_INDEX_UNAVAILABLE',
    })
  })
})
