import fc from 'fast-check'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { Bus } from '../../bus/bus.ts'
import { CommitFailures } from '../../testing/sqlite/commit-failures.ts'
import { openFaultySqlite } from '../../testing/sqlite/open-faulty.ts'
import { event, type CloudEvent } from '../../event.ts'
import type { ScheduleFired } from '../../received.ts'
import { warnings } from '../../../test/lib/warnings.ts'
import { TestClock } from '../../testing/clock.ts'
import { collect, until } from '../../testing/wait.ts'
import { schedule, type ScheduleOptions } from './schedule.ts'

const [second, minute, hour, day] = [1_000, 60_000, 3_600_000, 86_400_000]

/** A log, and a clock that is set to a moment. */
async function openWorld(at: string) {
  const home = await mkdtemp(join(tmpdir(), 'tidings-schedule-'))
  const commits = new CommitFailures()
  const bus = new Bus(await openFaultySqlite({ home }, { commits }))
  const clock = new TestClock()
  clock.set(Date.parse(at))
  let looks = 0
  const now = () => {
    looks++
    return clock.now()
  }
  const stops = new Set<() => Promise<void>>()
  onTestFinished(async () => {
    await Promise.all([...stops].map(stop => stop()))
    await bus.driver.close()
    await rm(home, { recursive: true })
  })
  /** Waits until all schedules have looked at the clock. */
  const look = async (times = 2) => {
    const before = looks
    await until(() => looks >= before + times * stops.size)
  }
  const fired = async () => (await collect(bus.read({}))).map(({ event }) => event as CloudEvent<ScheduleFired>)
  const due = async () => (await fired()).map(({ data }) => `${data.due}${data.missed ? ' missed' : ''}`)
  return {
    bus,
    clock,
    commits,
    fired,
    due,
    look,
    /** These come, and nothing else when the clock is looked at some times more. */
    async expectDue(expected: readonly string[]) {
      await until(async () => isDeepStrictEqual(await due(), expected)).catch(() => {})
      await look(5)
      expect(await due()).toEqual(expected)
    },
    /** Time passes as it does, in steps that nobody takes for a jump. */
    async pass(ms: number, step = 55 * second) {
      for (let left = ms; left > 0; left -= step) {
        clock.advance(Math.min(step, left))
        await look()
      }
    },
    async start(options: ScheduleOptions, name = 'nightly') {
      const trigger = schedule(name, options, { now, pollIntervalMs: 2 })
      const running = await trigger.start(bus)
      const stop = () => running.stop()
      stops.add(stop)
      return { trigger, running, stop: () => (stops.delete(stop), stop()) }
    },
  }
}

test('a due event is on the log once, has its due time, and is never early', async () => {
  const { clock, start, fired, expectDue, pass } = await openWorld('2026-05-04T02:59:50Z')
  const { running } = await start({ cron: '0 3 * * *' })
  expect(running.address).toBe('schedule:nightly 0 3 * * * UTC')
  await expectDue([])
  clock.set(Date.parse('2026-05-04T03:00:00Z'))
  await expectDue(['2026-05-04T03:00:00Z'])
  const [event] = await fired()
  expect(event).toMatchObject({
    id: 'schedule:nightly:2026-05-04T03:00:00Z',
    type: 'schedule.fired',
    source: '/triggers/nightly',
    subject: '2026-05-04T03:00:00Z',
    data: { schedule: 'nightly', due: '2026-05-04T03:00:00Z' },
  })
  await pass(10 * minute)
  await expectDue(['2026-05-04T03:00:00Z'])
})

test('a type of its own carries data of its own', async () => {
  const { clock, start, fired } = await openWorld('2026-05-04T11:59:50Z')
  const type = event('report.wanted', z.object({ about: z.string() }))
  await start({ every: '15m', type, data: { about: 'sales' } }, 'report')
  clock.advance(10 * second)
  const [event_] = await until(async () => (await fired()).length > 0 && fired())
  expect(event_).toMatchObject({ type: 'report.wanted', data: { about: 'sales' } })
  expect(event_!.id).toBe('schedule:report:2026-05-04T12:00:00Z')
})

const cases: [title: string, zone: string, cron: string, from: string, hours: number, due: string[]][] = [
  ['a time that is skipped is due when the clock has jumped', 'Europe/Berlin', '30 2 * * *', '2026-03-28T23:10:00Z', 26, ['2026-03-29T01:00:00Z', '2026-03-30T00:30:00Z']],
  ['a time that comes twice is due the first time', 'Europe/Berlin', '30 2 * * *', '2026-10-24T22:10:00Z', 28, ['2026-10-25T00:30:00Z', '2026-10-26T01:30:00Z']],
  ['hours that are skipped are not due', 'America/New_York', '30 1-3 * * *', '2026-03-08T05:10:00Z', 4, ['2026-03-08T06:30:00Z', '2026-03-08T07:30:00Z']],
  ['hours that come twice are due twice', 'America/New_York', '30 1-3 * * *', '2026-11-01T04:10:00Z', 5, ['2026-11-01T05:30:00Z', '2026-11-01T06:30:00Z', '2026-11-01T07:30:00Z', '2026-11-01T08:30:00Z']],
  ['a shift of half an hour', 'Australia/Lord_Howe', '15 2 * * *', '2026-10-03T14:10:00Z', 26, ['2026-10-03T15:30:00Z', '2026-10-04T15:15:00Z']],
] // biome-ignore format: one table

test.each(cases)('summer time, %s: %s, %s', async (_, zone, cron, from, hours, due) => {
  const { start, fired: found, look, pass } = await openWorld(from)
  await start({ cron, zone, catchUp: 'all' })
  await pass(hours * hour, 59 * minute)
  await until(async () => (await found()).length >= due.length)
  await look(5)
  expect((await found()).map(event => event.data.due)).toEqual(due)
})

test('several processes fire once, each of them', async () => {
  const { start, expectDue, pass } = await openWorld('2026-05-04T02:59:50Z')
  await Promise.all([start({ cron: '* * * * *' }), start({ cron: '* * * * *' }), start({ cron: '* * * * *' })])
  await pass(2 * minute, 10 * second)
  await expectDue(['2026-05-04T03:00:00Z', '2026-05-04T03:01:00Z'])
})

test.each([
  ['none', []],
  ['last', ['2026-05-06T03:00:00Z missed']],
  ['all', ['2026-05-05T03:00:00Z missed', '2026-05-06T03:00:00Z missed']],
] as const)('what was due while nobody was there: %s', async (catchUp, missed) => {
  const heard = warnings()
  const { clock, start, expectDue } = await openWorld('2026-05-04T02:59:50Z')
  const first = await start({ cron: '0 3 * * *', catchUp })
  clock.advance(20 * second)
  await expectDue(['2026-05-04T03:00:00Z'])
  await first.stop()
  clock.set(Date.parse('2026-05-06T12:00:00Z'))
  const second_ = await start({ cron: '0 3 * * *', catchUp })
  await expectDue(['2026-05-04T03:00:00Z', ...missed])
  await second_.stop()
  await start({ cron: '0 3 * * *', catchUp })
  await expectDue(['2026-05-04T03:00:00Z', ...missed])
  const skipped = {
    none: /from 2026-05-05T03:00:00.000Z to 2026-05-06T03/,
    last: /due times 2026-05-05T03:00:00.000Z:/,
    all: /^$/,
  }
  if (catchUp === 'all') expect(heard).toEqual([])
  else expect(heard.join('\n')).toMatch(skipped[catchUp])
})

test('of very much that was missed the newest thousand are caught up with, and the rest is named', async () => {
  const heard = warnings()
  const { clock, start, fired } = await openWorld('2026-05-04T00:00:30Z')
  await (await start({ every: '1m', catchUp: 'all' })).stop()
  clock.set(Date.parse('2026-05-05T00:00:30Z'))
  await start({ every: '1m', catchUp: 'all' })
  await until(() => heard.length > 0, { within: 15_000 })
  const events = await fired()
  expect(events.length).toBe(1_001)
  expect(events[0]!.data).toMatchObject({ due: '2026-05-04T07:20:00Z', missed: true })
  expect(events.at(-2)!.data).toMatchObject({ due: '2026-05-04T23:59:00Z', missed: true })
  expect(events.at(-1)!.data).toEqual({ schedule: 'nightly', due: '2026-05-05T00:00:00Z' })
  expect(heard).toEqual([expect.stringContaining('from 2026-05-04T00:01:00.000Z to 2026-05-04T07:19:00.000Z')])
})

test('another rule begins now: it was not due before', async () => {
  const { clock, start, expectDue, pass } = await openWorld('2026-05-04T00:00:10Z')
  await (await start({ cron: '0 3 * * *', catchUp: 'all' })).stop()
  clock.set(Date.parse('2026-05-06T12:00:10Z'))
  await start({ cron: '0 * * * *', catchUp: 'all' })
  await expectDue([])
  await pass(hour, 50 * second)
  await expectDue(['2026-05-06T13:00:00Z'])
})

test('a clock that is set ahead by a day and back loses nothing and doubles nothing', async () => {
  const { clock, start, expectDue, pass } = await openWorld('2026-05-04T02:59:50Z')
  await start({ cron: '0 * * * *', catchUp: 'none' })
  clock.advance(20 * second)
  await expectDue(['2026-05-04T03:00:00Z'])
  clock.advance(day)
  // By that clock it was due ten seconds ago; what lies between was jumped over.
  await expectDue(['2026-05-04T03:00:00Z', '2026-05-05T03:00:00Z'])
  clock.advance(-day)
  await pass(2 * hour)
  const later = ['2026-05-04T04:00:00Z', '2026-05-04T05:00:00Z']
  await expectDue(['2026-05-04T03:00:00Z', '2026-05-05T03:00:00Z', ...later])
  clock.set(Date.parse('2026-05-05T02:59:50Z'))
  await pass(10 * minute)
  await expectDue(['2026-05-04T03:00:00Z', '2026-05-05T03:00:00Z', ...later])
})

test('each due time fires once and never early, however the clock moves', async () => {
  const step = fc.constantFrom(50 * second, 55 * second, hour, -hour, day, -day, 8 * minute, -8 * minute)
  const policy = fc.constantFrom<'none' | 'last' | 'all'>('none', 'last', 'all')
  const at = '2026-05-04T12:00:30Z'
  const { clock, start, fired, look } = await openWorld(at)
  let run = 0
  await fc.assert(
    fc.asyncProperty(policy, fc.array(step, { minLength: 1, maxLength: 12 }), async (catchUp, steps) => {
      const name = `run-${run++}`
      const found = async () =>
        (await fired()).filter(({ data }) => data.schedule === name).map(({ data }) => Date.parse(data.due))
      const includes = (due: number) => until(async () => (await found()).includes(due))
      clock.set(Date.parse(at))
      const { stop } = await start({ every: '10m', catchUp }, name)
      const began = clock.now()
      const dueBefore = (ms: number) => Math.floor(ms / (10 * minute)) * 10 * minute
      let latest = began
      for (const step of steps) {
        clock.advance(step)
        latest = Math.max(latest, clock.now())
        const due = dueBefore(clock.now())
        await look()
        // Near to where it began it is not known whether there was a schedule.
        const isPassed = step > 0 && step < minute && due > clock.now() - step && Math.abs(due - began) > minute
        if (isPassed || (catchUp === 'all' && due > began)) await includes(due)
      }
      if (catchUp === 'all') for (let due = dueBefore(latest); due > began; due -= 10 * minute) await includes(due)
      await look(5)
      const all = await found()
      expect(new Set(all).size).toBe(all.length)
      expect(Math.max(...all)).toBeLessThanOrEqual(latest + second)
      await stop()
    }),
    { numRuns: 10 },
  )
}, 60_000)

test('events due while the log is unavailable are published later, and not marked as missed', async () => {
  const heard = warnings()
  const { clock, start, commits, look, pass, expectDue } = await openWorld('2026-05-04T02:59:50Z')
  await start({ cron: '*/10 * * * *', catchUp: 'none' })
  commits.fail(1_000_000)
  await pass(21 * minute)
  await until(() => heard.length > 0)
  await look(20)
  commits.fail(0)
  await expectDue(['2026-05-04T03:00:00Z', '2026-05-04T03:10:00Z', '2026-05-04T03:20:00Z'])
  expect(heard).toEqual([expect.stringMatching(/^schedule nightly cannot fire now, and will retry: /)])
  expect(clock.now()).toBeGreaterThan(0)
})

test('all events that were due while the log was unavailable are published', async () => {
  const { clock, start, commits, pass, fired } = await openWorld('2026-05-04T03:00:00.500Z')
  await start({ every: '1s', catchUp: 'none' })
  const began = clock.now()
  commits.fail(1_000_000)
  await pass(20 * minute)
  commits.fail(0)
  const due = Array.from({ length: 1_200 }, (_, i) => Math.floor(began / second) * second + (i + 1) * second)
  const found = async () => (await fired()).map(({ data }) => Date.parse(data.due))
  await until(async () => (await found()).length >= due.length, { within: 20_000 })
  expect((await found()).slice(0, due.length)).toEqual(due)
})

test('a crash between the event and the document fires nothing twice', async () => {
  const { bus, clock, start, expectDue } = await openWorld('2026-05-04T02:59:50Z')
  const first = await start({ cron: '* * * * *', catchUp: 'all' })
  const before = await bus.driver.getDocument('schedule/nightly')
  clock.advance(20 * second)
  await expectDue(['2026-05-04T03:00:00Z'])
  await first.stop()
  const { revision } = (await bus.driver.getDocument('schedule/nightly'))!
  await bus.driver.putDocument('schedule/nightly', before!.value, revision)
  clock.advance(hour)
  await start({ cron: '* * * * *', catchUp: 'last' })
  await expectDue(['2026-05-04T03:00:00Z', '2026-05-04T03:59:00Z missed', '2026-05-04T04:00:00Z'])
})

test('the worker that runs it publishes a sample on request, and marks it', async () => {
  const { bus, start, fired } = await openWorld('2026-05-04T02:00:00Z')
  const { trigger } = await start({ cron: '0 3 * * *' })
  await start({ cron: '0 3 * * *' })
  await start({ cron: '0 3 * * *' }, 'other')
  await trigger.sendSample!(bus)
  await until(async () => (await fired()).length > 0)
  const events = await fired()
  expect(events).toHaveLength(1)
  expect(events[0]).toMatchObject({ subject: 'sample', source: '/triggers/nightly', data: { sample: true } })
})

test.each([
  [{ cron: '61 * * * *' }, /cron "61 \* \* \* \*"/],
  [{ cron: 'at noon' }, /cron "at noon"/],
  [{ cron: '0 0 31 2 *' }, /never due/],
  [{ cron: '2030-01-01T00:00:00' }, /is a single moment/],
  [{ cron: '0 3 * * *', zone: 'Mars/Olympus' }, /zone Mars\/Olympus/],
  [{ every: '100ms' }, /use a second or more/],
  [{ every: 'often' as '1h' }, /not a duration/],
  [{}, /needs either cron/],
  [{ cron: '0 3 * * *', every: '1h' }, /needs either cron/],
  [{ cron: '0 3 * * *', catchUp: 'some' as 'all' }, /catchUp "some"/],
  [{ every: '1h', type: event('a.b', z.object({ x: z.string() })), data: { x: 1 } }, /data of a\.b/],
] as [ScheduleOptions, RegExp][])('is refused when it is defined: %j', (options, text) => {
  expect(() => schedule('nightly', options)).toThrow(
    expect.objectContaining({ code: 'E_APP_INVALID', message: expect.stringMatching(text) }),
  )
  expect(() => schedule('Not A Name', { every: '1h' })).toThrow(/invalid trigger name/)
})
