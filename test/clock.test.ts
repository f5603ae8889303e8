import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { text } from 'node:stream/consumers'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openSqlite } from '../src/drivers/sqlite/index.ts'
import { TestClock } from '../src/testing/clock.ts'
import { newTask, turn } from '../src/testing/conformance/entries.ts'
import { until } from '../src/testing/wait.ts'
import { tidings } from './lib/cli.ts'
import { sleepers, type Sleepers } from './lib/sleepers.ts'
import type { Night } from './lib/sleepers-child.ts'
import { onEveryBus, type World } from './lib/world.ts'

/*
 * The clock is set while tasks sleep. No timer may be missed, come twice, or come before its time.
 */

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour
const child = join(import.meta.dirname, 'lib/sleepers-child.ts')
/** More than a look at the clock takes, and less than a lease. */
const patience = { within: 10_000 }

onEveryBus(world => {
  async function start({ place }: World, clock: TestClock): Promise<Sleepers> {
    const worker = await sleepers(place, clock)
    onTestFinished(() => worker.stop())
    return worker
  }

  /** Waits until everything fired that was due, seen by a task which falls asleep behind it. */
  async function letPass(worker: Sleepers): Promise<void> {
    const marker = await worker.sleep(100)
    await until(async () => (await worker.fired(marker)).length > 0, patience)
  }

  const hasFired = async (worker: Sleepers, task: string) => (await worker.fired(task)).length > 0

  it('a timer fires once and not before its time, when the clock is put forward', async () => {
    const clock = new TestClock()
    const worker = await start(await world(), clock)
    const lengths = [30 * minute, 59 * minute, 2 * hour, 23 * hour, 3 * day]
    const tasks = await Promise.all(lengths.map(ms => worker.sleep(ms)))
    for (const [jump, count] of [
      [0, 0],
      [hour, 2],
      [day, 4],
    ] as const) {
      clock.advance(jump)
      await until(
        async () => (await Promise.all(tasks.slice(0, count).map(task => hasFired(worker, task)))).every(Boolean),
        patience,
      )
      await letPass(worker)
      for (const [i, task] of tasks.entries()) {
        const fired = await worker.fired(task)
        expect(fired, `${lengths[i]} after ${jump}`).toHaveLength(i < count ? 1 : 0)
        for (const { at, due } of fired) expect(at).toBeGreaterThanOrEqual(due)
      }
    }
  })

  it('a timer fires once and not before its time, when the clock is put back and comes to it again', async () => {
    const clock = new TestClock()
    const worker = await start(await world(), clock)
    const [fired, began] = [await worker.sleep(1), clock.now()]
    const [soon, later] = [await worker.sleep(minute), await worker.sleep(hour)]
    await until(() => hasFired(worker, fired))
    for (const jump of [hour, day]) {
      clock.advance(-jump)
      await letPass(worker)
      expect(await worker.fired(soon)).toEqual([])
      clock.advance(jump)
    }
    // What is left of the minute passes as it does.
    clock.set(began + minute - 300)
    await until(() => hasFired(worker, soon), patience)
    clock.advance(-day)
    await letPass(worker)
    clock.advance(day)
    await letPass(worker)
    for (const [task, times] of [
      [fired, 1],
      [soon, 1],
      [later, 0],
    ] as const) {
      const seen = await worker.fired(task)
      expect(seen).toHaveLength(times)
      for (const { at, due } of seen) expect(at).toBeGreaterThanOrEqual(due)
    }
  })

  it('a timer that was due while no worker ran is on the attention list, and fires once at the start', async () => {
    const clock = new TestClock()
    clock.advance(-day)
    const log = await world()
    const first = await start(log, clock)
    const tasks = await Promise.all([hour, 2 * hour, 3 * day].map(ms => first.sleep(ms)))
    await first.stop()
    const { stdout } = await tidings(log.place, ['attention', '--json'])
    const listed = stdout.trim().split('\n')
    expect(listed).toHaveLength(2)
    for (const task of tasks.slice(0, 2))
      expect(listed.filter(line => line.includes('"overdue"') && line.includes(`"${task}.`))).toHaveLength(1)
    clock.advance(day)
    const second = await start(log, clock)
    await until(async () => (await hasFired(second, tasks[0]!)) && hasFired(second, tasks[1]!), patience)
    await letPass(second)
    expect((await Promise.all(tasks.map(task => second.fired(task)))).map(({ length }) => length)).toEqual([1, 1, 0])
  })

  it('an hour of sleep lasts an hour, also in the night of a time change', async () => {
    const nights = [
      { TZ: 'Europe/Berlin', change: '2026-03-29T01:00:00Z', offsets: [60, 120] },
      { TZ: 'Australia/Lord_Howe', change: '2026-04-04T15:00:00Z', offsets: [660, 630] },
    ]
    const logs = await Promise.all(nights.map(() => world()))
    const lived = await Promise.all(nights.map(({ TZ, change }, i) => liveThrough(logs[i]!, TZ, change)))
    for (const [i, { offsets }] of nights.entries()) {
      const { slept, ...night } = lived[i]!
      expect(night).toEqual({ offsets, firedEarly: 0, fired: 1 })
      expect(slept).toBeGreaterThanOrEqual(hour)
      expect(slept).toBeLessThan(hour + 10_000)
    }
  })
})

async function liveThrough({ place: { home, bus } }: World, TZ: string, change: string): Promise<Night> {
  const env = { ...process.env, TZ, TIDINGS_LOG_LEVEL: 'silent' }
  const started = spawn(process.execPath, [child, home, bus, change], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  const [said] = await Promise.all([text(started.stdout), once(started, 'close')])
  return JSON.parse(said) as Night
}

describe('an embedded log', () => {
  it('checks the clock while it is idle', async () => {
    const home = await mkdtemp(join(tmpdir(), 'tidings-clock-'))
    const clock = new TestClock()
    const driver = await openSqlite({ home, clock, leaseMs: 600_000 })
    onTestFinished(async () => {
      await driver.close()
      await rm(home, { recursive: true })
    })
    const woken: string[] = []
    await driver.subscribe({
      group: 'tasks', mode: 'sharded', filter: [{ types: ['x'] }], maxInFlight: 1, from: 'now', onDelivery() {},
      onWake: task => woken.push(task),
    }) // biome-ignore format: one row
    const task = newTask()
    await driver.commit(turn(task, 0, { wake: clock.now() + hour }))
    // By the next answer it waits for the moment that it was told.
    await driver.durability()
    clock.advance(hour)
    await until(() => woken.includes(task))
  })
})

describe('members of an embedded log', () => {
  const leaseMs = 300

  it('keep their leases when the clock is set forward or back', async () => {
    const home = await mkdtemp(join(tmpdir(), 'tidings-clock-'))
    const clock = new TestClock()
    const lost: number[] = []
    const open = async () => {
      const driver = await openSqlite({ home, clock, leaseMs })
      await driver.subscribe({
        group: 'tasks', mode: 'sharded', filter: [{ types: ['x'] }], maxInFlight: 1, from: 'now', onDelivery() {},
        onLost: shard => lost.push(shard),
      }) // biome-ignore format: one row
      return driver
    }
    const drivers = [await open(), await open()]
    const db = new DatabaseSync(join(home, 'log.db'), { readOnly: true })
    onTestFinished(async () => {
      db.close()
      for (const driver of drivers) await driver.close()
      await rm(home, { recursive: true })
    })
    await until(() => lost.length === 8)
    const leases = db.prepare('SELECT until FROM members')
    for (const jump of [day, -2 * day]) {
      clock.advance(jump)
      const haveBeaten = () => {
        const ends = leases.all().map(row => Number(row.until) - clock.now())
        return ends.length === 2 && ends.every(ms => Math.abs(ms) < 10 * leaseMs)
      }
      await until(haveBeaten)
    }
    expect(lost).toHaveLength(8)
  })

  it('evict a hanging member in the usual time, even if the clock was set back since its heartbeat', async () => {
    const home = await mkdtemp(join(tmpdir(), 'tidings-clock-'))
    const clock = new TestClock()
    const driver = await openSqlite({ home, clock, leaseMs })
    onTestFinished(async () => {
      await driver.close()
      await rm(home, { recursive: true })
    })
    // One on another machine, of which nobody can see whether it lives.
    const db = new DatabaseSync(join(home, 'log.db'), { timeout: 5_000 })
    const [owner, ends] = [1_000_000_000, clock.now() + day]
    db.exec(`INSERT INTO members VALUES (1000, 1, '', 'elsewhere', ${ends})`)
    db.exec(`INSERT INTO consumers VALUES (${owner}, 'tasks', '[]')`)
    db.close()
    const woken: string[] = []
    await driver.subscribe({
      group: 'tasks', mode: 'sharded', filter: [{ types: ['x'] }], maxInFlight: 1, from: 'now', onDelivery() {},
      onWake: task => woken.push(task),
    }) // biome-ignore format: one row
    const tasks = Array.from({ length: 40 }, () => newTask())
    for (const task of tasks) await driver.commit(turn(task, 0, { wake: clock.now() }))
    await until(() => new Set(woken).size === tasks.length)
  })
})
