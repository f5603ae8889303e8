import fc from 'fast-check'
import { expect } from 'vitest'
import { RecordDigest } from '../../bus/copy/record-digest.ts'
import type { Driver, LogTransfer, TransferRecord } from '../../bus/driver.ts'
import { SystemClock } from '../memory/clock.ts'
import { MemoryLog } from '../memory/log.ts'
import { CopyableMemoryDriver } from '../memory-transfer.ts'
import { collect, until } from '../wait.ts'
import { discard, done, emitted, entries, entry, hour, ids, newTask, park, turn } from './entries.ts'
import { anyHistory, live, type LogExpectation, type LogHistory } from './log-history.ts'
import { worker, type Cases, type World } from './world.ts'

/* The driver in memory is the other log: what both export and import must be the same. */

const transferOf = (world: World, { transfer }: Driver): LogTransfer =>
  transfer ?? world.skip('logs of this driver cannot be copied')

async function* listed(records: readonly TransferRecord[]): AsyncGenerator<TransferRecord> {
  yield* records
}

const exported = (world: World, driver: Driver) => collect(transferOf(world, driver).exportRecords())

function differences(source: readonly TransferRecord[], target: readonly TransferRecord[]): string[] {
  using digest = new RecordDigest()
  for (const record of source) digest.add('source', record)
  for (const record of target) digest.add('target', record)
  return digest.differences(10)
}

/** A random history on one log, once: a case has one log. */
const withHistory = (run: (history: LogHistory) => Promise<void>) =>
  fc.assert(fc.asyncProperty(anyHistory, run), { numRuns: 1, endOnFailure: true })

const memoryDriver = (world: World) =>
  new CopyableMemoryDriver(new MemoryLog({ partitions: 2, clock: new SystemClock(world.clock.now) }))

const above = 1_000_000

export const transfer: Cases = {
  'what is exported is what the log holds: another broker that imports it exports the same': async world => {
    await withHistory(async history => {
      await live(world, await world.open(), history)
      const driver = await world.open()
      const records = await exported(world, driver)
      const other = memoryDriver(world)
      await other.transfer.importRecords(listed(records), above)
      expect(differences(records, await collect(other.transfer.exportRecords()))).toEqual([])
      // Exporting changes nothing.
      expect(differences(records, await exported(world, driver))).toEqual([])
      await other.close()
    })
  },

  'what is imported is exported unchanged, also when the import was interrupted and repeated': async world => {
    await withHistory(async history => {
      const records = await otherLog(world, history)
      const driver = await world.open()
      const { importRecords } = transferOf(world, driver)
      const interrupted = async function* () {
        yield* records.slice(0, Math.floor(records.length / 2))
        throw new Error('interrupted')
      }
      await expect(importRecords(interrupted(), above)).rejects.toThrow()
      const again = await world.reopen(driver)
      for (const _ of [1, 2]) await transferOf(world, again).importRecords(listed(records), above)
      expect(differences(records, await exported(world, again))).toEqual([])
    })
  },

  'workers continue on the imported log: nothing settled comes again, nothing unsettled is lost': async world => {
    await withHistory(async history => {
      const source = memoryDriver(world)
      const expected = await live(lending(world, source), source, history)
      const driver = await world.open()
      await transferOf(world, driver).importRecords(source.transfer.exportRecords(), above)
      await continues(world, await world.reopen(driver), expected)
    })
  },

  'a purged log moves: open tasks go on from their snapshots, and what is set aside keeps its event': async world => {
    await purgeSome(world, await world.owner())
    const driver = await world.open()
    const records = await exported(world, driver)
    const other = memoryDriver(world)
    await other.transfer.importRecords(listed(records), above)
    expect(differences(records, await collect(other.transfer.exportRecords()))).toEqual([])
    const [task] = records.flatMap(record => (record.kind === 'turn' ? [record.task] : []))
    expect((await other.journal(task!)).snapshot).toEqual({ version: 2, state: 'state' })
    expect((await collect(other.listDeferred())).map(({ state }) => state).toSorted()).toEqual(['dead', 'parked'])
    await other.close()
  },

  'a log that was purged elsewhere is imported': async world => {
    const other = memoryDriver(world)
    await purgeSome(lending(world, other), other)
    const records = await collect(other.transfer.exportRecords())
    const driver = await world.open()
    await transferOf(world, driver).importRecords(listed(records), above)
    const again = await world.reopenOwner(driver)
    expect(differences(records, await exported(world, again))).toEqual([])
    const [task] = records.flatMap(record => (record.kind === 'turn' ? [record.task] : []))
    expect((await again.journal(task!)).snapshot).toEqual({ version: 2, state: 'state' })
    expect(await again.commit(turn(task!, 2))).toBe('accepted')
    const deferred = await collect(again.listDeferred())
    const member = await world.join(again, { on: () => done })
    for (const { id } of deferred) await again.redeliver({ id })
    await until(() => member.deliveries.length === 2, { what: 'what was set aside' })
  },

  'offsets of the imported log are above a number, and cursors below it have expired': async world => {
    const driver = await world.open()
    const other = memoryDriver(world)
    await other.publish(entries(3))
    await transferOf(world, driver).importRecords(other.transfer.exportRecords(), above)
    const again = await world.reopen(driver)
    const read = await collect(again.read({}))
    expect(read).toHaveLength(3)
    for (const { position } of read) expect(position.offset).toBeGreaterThan(above)
    expect(Math.min(...(await again.horizon()).split('.').map(Number))).toBeGreaterThanOrEqual(above)
    // A group that starts at the beginning gets everything, and its lag is counted from there.
    const member = await world.join(again, { group: 'late', on: () => done })
    await until(() => member.deliveries.length === 3)
    expect((await again.listGroups()).map(({ lag }) => lag).every(lag => lag <= 3)).toBe(true)
    expect((await again.purge({ maxAgeMs: 0, maxLag: 10 })).heldBy).not.toContain('events behind')
  },
}

/** An open task whose first turn is gone, and two deliveries that were set aside and whose events are gone, if the broker purges these. */
async function purgeSome(world: World, driver: Driver): Promise<void> {
  const time = new Date(world.clock.now() - 10 * hour).toISOString()
  const task = newTask()
  if (driver instanceof CopyableMemoryDriver) await world.join(driver, worker)
  await world.join(driver, { on: ({ event }) => (event.subject === 'dead' ? discard('no') : park('later')) })
  await driver.publish(['dead', 'parked'].map(subject => entry({ time, subject })))
  await until(async () => (await collect(driver.listDeferred())).length === 2)
  await driver.commit(turn(task, 0, { time, events: [emitted(task, 1, 0, { time, type: 'work.made' })] }))
  await driver.commit(turn(task, 1, { time, snapshot: 'state' }))
  await driver.publish([entry({ type: 'work.made' })])
  expect((await driver.purge({ maxAgeMs: hour, maxLag: 1_000_000 })).events).toBeGreaterThan(0)
  await world.close(driver)
}

async function otherLog(world: World, history: LogHistory): Promise<TransferRecord[]> {
  const source = memoryDriver(world)
  await live(lending(world, source), source, history)
  return collect(source.transfer.exportRecords())
}

/** A world whose logs are this driver, and which closes its members only. */
function lending(world: World, driver: CopyableMemoryDriver): World {
  const consumers: { close(): Promise<void> }[] = []
  return Object.assign(Object.create(world) as World, {
    open: async () => driver,
    join: async (_: Driver, options: object) => {
      const member = await world.join(driver, options)
      consumers.push(member.consumer)
      return member
    },
    close: async () => {
      for (const consumer of consumers.splice(0)) await consumer.close()
    },
  })
}

async function continues(world: World, driver: Driver, expected: LogExpectation): Promise<void> {
  const { jobs, delayed, liveTasks, endedTasks, claim } = expected
  const deferred = await collect(driver.listDeferred())
  const attention = deferred.filter(({ state }) => state !== 'delayed')
  const member = await world.join(driver, { maxInFlight: 64, on: () => done })
  await until(() => member.deliveries.length === jobs.length, { what: 'what was not settled' })
  const got = member.deliveries.map(({ event, attempt }) => ({ id: event.id, attempt }))
  const byId = (a: { id: string }, b: { id: string }) => (a.id < b.id ? -1 : 1)
  expect(got.toSorted(byId)).toEqual(jobs.toSorted(byId))

  for (const { task, version, wake } of liveTasks) {
    const newest = await driver.newestTurns(task.slice(0, 36))
    expect(newest.map(({ id }) => id)).toContain(turn(task, version - 1).turn.event.id)
    if (wake !== null) expect(await wakesBefore(driver, wake + 1)).toContain(task)
  }
  const owner = await world.join(driver, worker)
  for (const { task, version } of liveTasks) {
    expect(await driver.commit(turn(task, version - 1))).toBe('conflict')
    expect(await driver.commit(turn(task, version))).toBe('accepted')
    const { snapshot, records } = await driver.journal(task)
    const turns = records.filter(({ type }) => type === 'task.turn')
    expect((snapshot?.version ?? 0) + turns.length).toBe(version + 1)
  }
  for (const task of endedTasks) expect(await driver.commit(turn(task, 0))).toBe('conflict')
  // Each task has an input that its worker had not settled.
  await until(() => owner.deliveries.length === liveTasks.length + endedTasks.length, { what: 'the held inputs' })
  expect(owner.deliveries.every(({ event }) => (event.data as { held?: boolean }).held)).toBe(true)

  expect((await driver.getDocument('with/parts'))?.value).toBe('{"n":1}')
  const revision = (await driver.getDocument('plain'))!.revision
  expect(await driver.putDocument('plain', 'more', revision)).toBeGreaterThan(0)
  expect(await driver.claim(member.deliveries[0] ?? owner.deliveries[0]!, claim.entry)).toBe(false)

  const before = member.deliveries.length
  for (const { id } of attention) expect(await driver.redeliver({ id })).toBe(1)
  await until(() => member.deliveries.length === before + attention.length, { what: 'what was redelivered' })
  expect(ids(member.deliveries.slice(before)).toSorted()).toEqual(ids(attention).toSorted())
  expect(deferred.filter(({ state }) => state === 'delayed').length).toBeGreaterThanOrEqual(delayed.length)
  const memos = (await exportedAfter(world, driver)).flatMap(record =>
    record.kind === 'deferred' ? [{ id: record.entry.event.id, memo: record.memo }] : [],
  )
  expect(memos.toSorted(byId)).toEqual(delayed.map(each => ({ ...each })).toSorted(byId))
}

async function exportedAfter(world: World, driver: Driver): Promise<TransferRecord[]> {
  return exported(world, await world.reopen(driver))
}

async function wakesBefore(driver: Driver, before: number): Promise<string[]> {
  return (await collect(driver.missedWakes(before))).map(({ task }) => task)
}
