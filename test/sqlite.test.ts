import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Commit, Delivery, Driver, Subscription } from '../src/bus/driver.ts'
import { correlationOf, taskId, turnId } from '../src/bus/ids.ts'
import { createEvent, type Draft } from '../src/event.ts'
import { until } from '../src/testing/wait.ts'
import { openSqlite, type SqliteOptions } from '../src/drivers/sqlite/index.ts'
import { CommitFailures } from '../src/testing/sqlite/commit-failures.ts'
import { openFaultySqlite, type SqliteFaults } from '../src/testing/sqlite/open-faulty.ts'
import type { Command, Report, Role } from './lib/sqlite-child.ts'

let home: string
const open: Driver[] = []
const children: Child[] = []

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'tidings-own-'))
})

afterEach(async () => {
  for (const child of children.splice(0)) child.process.kill('SIGKILL')
  for (const driver of open.splice(0)) await driver.close()
  await rm(home, { recursive: true, force: true })
})

async function start(options: Partial<SqliteOptions> = {}): Promise<Driver> {
  const driver = await openSqlite({ home, ...options })
  open.push(driver)
  return driver
}

async function startFaulty(faults: SqliteFaults): Promise<Driver> {
  const driver = await openFaultySqlite({ home }, faults)
  open.push(driver)
  return driver
}

interface Child {
  readonly process: ChildProcess
  readonly reports: Report[]
  readonly exited: Promise<number | null>
  send(command: Command): void
  of<K extends Report['kind']>(kind: K): Extract<Report, { kind: K }>[]
}

async function startChild(role: Partial<Role> = {}, shell = ''): Promise<Child> {
  const script = fileURLToPath(new URL('./lib/sqlite-child.ts', import.meta.url))
  const argument = JSON.stringify({ options: { home }, ...role })
  const child = spawn('/bin/sh', ['-c', `${shell} exec "$0" "$@"`, process.execPath, script, argument], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const reports: Report[] = []
  child.on('message', message => reports.push(message as Report))
  const exited = new Promise<number | null>(resolve => child.on('exit', resolve))
  const it: Child = {
    process: child,
    reports,
    exited,
    send: command => void child.send(command),
    of: kind => reports.filter(report => report.kind === kind) as never,
  }
  children.push(it)
  await until(() => it.of('ready').length, { within: 15_000 })
  return it
}

function entry(draft: Partial<Draft> = {}) {
  const event = createEvent({ type: 'job.made', data: null, ...draft })
  return { event, json: JSON.stringify(event) }
}

const turn = (task: string, expect: number, more: Partial<Commit> = {}): Commit => ({
  group: 'group',
  task,
  expect,
  turn: entry({ type: 'task.turn', id: turnId(task, expect + 1), correlationid: correlationOf(task) }),
  events: [],
  settle: [],
  wake: null,
  ...more,
})

async function subscribe(driver: Driver, mode: 'shared' | 'sharded', more: Partial<Subscription> = {}) {
  const deliveries: Delivery[] = []
  const lost: number[] = []
  const consumer = await driver.subscribe({
    group: 'group',
    mode,
    filter: [{ types: ['job.>'] }],
    maxInFlight: 100,
    from: 'beginning',
    onDelivery: delivery => deliveries.push(delivery),
    onLost: shard => lost.push(shard),
    ...more,
  })
  return { consumer, deliveries, lost }
}

/** Stops a process outside of its transactions, so that it does not hold the lock of the log. */
function hang({ process }: Child): boolean {
  process.kill('SIGSTOP')
  const db = new DatabaseSync(join(home, 'log.db'), { timeout: 200 })
  try {
    db.exec('BEGIN IMMEDIATE; ROLLBACK')
    return true
  } catch {
    process.kill('SIGCONT')
    return false
  } finally {
    db.close()
  }
}

const ids = (items: readonly { event: { id: string } }[]) => items.map(item => item.event.id)
const stored = async (driver: Driver) => ids(await Array.fromAsync(driver.read({})))
const refused = { code: 'E_LOG_UNAVAILABLE', retryable: true }

describe('opening', () => {
  it('reports whether a publish survives a power failure', async () => {
    expect(await (await start()).durability()).toEqual({
      survives: 'power',
      detail: 'journal_mode=wal synchronous=FULL',
    })
    expect((await (await start({ synchronous: 'off' })).durability()).survives).toBe('process')
  })

  it('refuses a log of a newer schema', async () => {
    await (await openSqlite({ home })).close()
    const db = new DatabaseSync(join(home, 'log.db'))
    db.exec('PRAGMA user_version = 99')
    db.close()
    await expect(openSqlite({ home })).rejects.toMatchObject({ code: 'E_LOG_VERSION' })
  })

  it('upgrades a log of an older schema', async () => {
    const before = await openSqlite({ home })
    await before.publish([entry({ type: 'job.done' })])
    await before.close()
    const db = new DatabaseSync(join(home, 'log.db'))
    db.exec(
      'ALTER TABLE claims DROP COLUMN memo; ALTER TABLE aside DROP COLUMN memo; ' +
        'DROP INDEX documents_until; ALTER TABLE documents DROP COLUMN until; PRAGMA user_version = 1',
    )
    db.close()
    const memos: (string | undefined)[] = []
    const after = await start()
    await after.subscribe({
      group: 'jobs',
      filter: [{ types: ['job.done'] }],
      mode: 'shared',
      from: 'beginning',
      maxInFlight: 1,
      onDelivery: delivery => {
        memos.push(delivery.memo)
        const isFirst = memos.length === 1
        void delivery.settle(
          isFirst
            ? { kind: 'retry', after: 0, reason: { code: 'E_BUSY', message: 'busy' }, memo: '1 0 1' }
            : { kind: 'done' },
        )
      },
    })
    await until(() => memos.length === 2)
    expect(memos).toEqual([undefined, '1 0 1'])
  })

  it('refuses a home that is not a folder', async () => {
    await writeFile(join(home, 'file'), '')
    await expect(openSqlite({ home: join(home, 'file') })).rejects.toMatchObject({ code: 'E_LOG_UNAVAILABLE' })
  })

  it('lets the process end after close', async () => {
    const child = await startChild({ mode: 'sharded' })
    child.send('close')
    expect(await child.exited).toBe(0)
  })
})

describe('early delivery', () => {
  it('goes to the owner of the shard before the event is stored, and the turn is stored with the event', async () => {
    const commits = new CommitFailures()
    const driver = await startFaulty({ commits })
    const { deliveries } = await subscribe(driver, 'sharded')
    const sent = entry()
    const task = taskId(sent.event.correlationid, 'program', sent.event.id)
    const published = driver.publish([sent])
    await Promise.resolve()
    expect(ids(deliveries)).toEqual([sent.event.id])
    expect(await driver.get(sent.event.id, sent.event.correlationid)).toBeUndefined()
    commits.fail(1, 1)
    const settle = [{ delivery: deliveries[0]!, outcome: { kind: 'done' as const } }]
    expect(await driver.commit(turn(task, 0, { settle }))).toBe('accepted')
    expect(await published).toEqual([{ position: { partition: 0, offset: 1 }, duplicate: false }])
  })

  it('does not deliver a duplicate', async () => {
    const driver = await start()
    const { deliveries } = await subscribe(driver, 'sharded')
    const sent = entry()
    await Promise.all([driver.publish([sent]), driver.publish([sent])])
    await driver.publish([sent])
    expect(ids(deliveries)).toEqual([sent.event.id])
  })
})

describe('a transaction that fails', () => {
  it('loses what was submitted before, and nothing else', async () => {
    const commits = new CommitFailures()
    const driver = await startFaulty({ commits })
    const before = entry()
    await driver.publish([before])
    commits.fail(1)
    const lost = [driver.publish([entry()]), driver.commit(turn(taskId(before.event.correlationid, 'p', 'e'), 0))]
    for (const result of await Promise.allSettled(lost))
      expect(result).toMatchObject({ status: 'rejected', reason: refused })
    const after = entry()
    expect(await driver.publish([after])).toEqual([{ position: { partition: 0, offset: 2 }, duplicate: false }])
    expect(await stored(driver)).toEqual([before.event.id, after.event.id])
  })

  it('cancels early deliveries, informs the owner, and redelivers what is stored and unsettled', async () => {
    const commits = new CommitFailures()
    const driver = await startFaulty({ commits })
    const { deliveries, lost } = await subscribe(driver, 'sharded')
    const kept = entry()
    await driver.publish([kept])
    commits.fail(1)
    const gone = entry()
    await expect(driver.publish([gone])).rejects.toMatchObject(refused)
    expect(lost.toSorted((a, b) => a - b)).toEqual(Array.from({ length: driver.shards }, (_, shard) => shard))
    await until(() => deliveries.length === 3)
    expect(ids(deliveries)).toEqual([kept.event.id, gone.event.id, kept.event.id])
    await deliveries[2]!.settle({ kind: 'done' })
    await until(async () => (await driver.listGroups())[0]?.lag === 0)
  })

  it('keeps a delivery of a shared group in flight when its settlement was lost, so that it can be settled later', async () => {
    const commits = new CommitFailures()
    const driver = await startFaulty({ commits })
    const { deliveries } = await subscribe(driver, 'shared')
    await driver.publish([entry()])
    await until(() => deliveries.length === 1)
    commits.fail(1)
    await expect(deliveries[0]!.settle({ kind: 'done' })).rejects.toMatchObject(refused)
    expect((await driver.listGroups())[0]).toMatchObject({ lag: 1, inFlight: 1 })
    await deliveries[0]!.settle({ kind: 'done' })
    expect((await driver.listGroups())[0]).toMatchObject({ lag: 0, inFlight: 0 })
    expect(deliveries).toHaveLength(1)
  })

  it('may repeat until the disk works', async () => {
    const commits = new CommitFailures()
    const driver = await startFaulty({ commits })
    const { deliveries } = await subscribe(driver, 'shared')
    commits.fail(3)
    const sent = entry()
    await expect(driver.publish([sent])).rejects.toMatchObject(refused)
    await until(async () => (await driver.publish([sent])).length, { within: 10_000 })
    await until(() => deliveries.length === 1)
  })

  it('happens when the disk is full', async () => {
    const child = await startChild({ fill: 100_000 }, 'ulimit -f 24000;')
    const report = await until(() => child.of('refused')[0], { within: 20_000 })
    expect(report).toMatchObject(refused)
    expect(report.stored).toBeGreaterThan(0)
    expect(report.counted).toBe(report.stored)
  })
})

it('many processes can create one log at the same time', async () => {
  const made = await Promise.all(Array.from({ length: 6 }, () => startChild()))
  await until(() => made.every(child => child.of('ready').length === 1), { within: 20_000 })
})

it('events that a consumer claims in the transaction in which it closes go to the next consumer', async () => {
  const first = await start()
  const { consumer } = await subscribe(first, 'shared')
  const sent = Array.from({ length: 20 }, () => entry())
  // Flushed together, so that claim and close share a transaction.
  await Promise.all([first.publish(sent), consumer.close()])
  await first.close()
  const { deliveries } = await subscribe(await start(), 'shared')
  await until(() => new Set(ids(deliveries)).size === sent.length)
  expect(ids(deliveries)).toHaveLength(sent.length)
})

describe('several processes', () => {
  it('wake each other without polling', async () => {
    const child = await startChild({ mode: 'shared' })
    const driver = await start()
    const took: number[] = []
    for (let n = 1; n <= 20; n++) {
      const sent = performance.now()
      await driver.publish([entry()])
      await until(() => child.of('delivery').length === n)
      took.push(performance.now() - sent)
    }
    // The median, because the machine may be busy. Polling every second would take longer.
    expect(took.toSorted((a, b) => a - b)[10]).toBeLessThan(1_000)
  })

  it.each(['shared', 'sharded'] as const)('take over the deliveries of a killed process at once: %s', async mode => {
    const options = { home, leaseMs: 600_000 }
    const child = await startChild({ mode, options })
    const driver = await start(options)
    const sent = Array.from({ length: 40 }, () => entry())
    await driver.publish(sent)
    await until(() => child.of('delivery').length === sent.length)
    const { deliveries } = await subscribe(driver, mode)
    child.process.kill('SIGKILL')
    await until(() => new Set(ids(deliveries)).size === sent.length, { within: 10_000 })
    expect(deliveries.some(({ attempt }) => attempt === 2)).toBe(true)
  })

  it('count the deaths of those that held the events of a shard', async () => {
    const options = { home, leaseMs: 600_000 }
    const driver = await start(options)
    const sent = [entry(), entry()]
    for (let deaths = 0; deaths < 4; deaths++) {
      const child = await startChild({ mode: 'sharded', options })
      if (deaths === 0) await driver.publish(sent)
      await until(() => child.of('delivery').length === sent.length, { within: 10_000 })
      expect(child.of('delivery').map(({ attempt }) => attempt)).toEqual([deaths + 1, deaths + 1])
      child.process.kill('SIGKILL')
      await child.exited
    }
  })

  it('take over from a process that hangs, and its turns are refused when it continues', async () => {
    const options = { home, leaseMs: 600 }
    const child = await startChild({ mode: 'sharded', options })
    const driver = await start(options)
    const sent = entry()
    await driver.publish([sent])
    await until(() => child.of('delivery').length === 1)
    await until(() => hang(child))
    const { deliveries } = await subscribe(driver, 'sharded')
    await until(() => deliveries.length === 1, { within: 10_000 })
    const task = taskId(sent.event.correlationid, 'program', sent.event.id)
    child.send({ commit: task, expect: 0, settling: sent.event.id })
    child.process.kill('SIGCONT')
    await until(() => child.of('commit').length === 1, { within: 10_000 })
    expect(child.of('commit')[0]!.result).toBe('conflict')
    await until(() => child.of('lost').length > 0, { within: 10_000 })
    expect((await driver.journal(task)).records).toEqual([])
  })
})

describe('controls: without a guarantee', () => {
  const task = taskId(createEvent({ type: 'job.made', data: null }).correlationid, 'program', 'event')

  async function twoTurns(faults: SqliteFaults): Promise<string[]> {
    const [a, b] = [await startFaulty(faults), await startFaulty(faults)]
    return Promise.all([a.commit(turn(task, 0)), b.commit(turn(task, 0))])
  }

  it('two turns of one version are accepted if the fence is off', async () => {
    expect((await twoTurns({})).toSorted()).toEqual(['accepted', 'conflict'])
    for (const driver of open.splice(0)) await driver.close()
    await rm(home, { recursive: true })
    expect(await twoTurns({ dropFence: true })).toEqual(['accepted', 'accepted'])
  })

  async function afterFailedCommit(dropTransaction: boolean): Promise<{ lag: number; turns: number }> {
    const commits = new CommitFailures()
    const driver = await startFaulty({ dropTransaction, commits })
    const { deliveries } = await subscribe(driver, 'shared')
    await driver.publish([entry()])
    await until(() => deliveries.length === 1)
    commits.fail(1, dropTransaction ? 1 : 0)
    const settle = [{ delivery: deliveries[0]!, outcome: { kind: 'done' as const } }]
    await expect(driver.commit(turn(task, 0, { settle }))).rejects.toMatchObject(refused)
    const [group] = await driver.listGroups()
    return { lag: group!.lag, turns: (await driver.journal(task)).records.length }
  }

  it.each([
    { dropTransaction: false, lag: 1 },
    { dropTransaction: true, lag: 0 },
  ])('a lost turn settles its input if the transaction is off: %o', async ({ dropTransaction, lag }) => {
    expect(await afterFailedCommit(dropTransaction)).toEqual({ lag, turns: 0 })
  })
})
