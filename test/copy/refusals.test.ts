import { randomUUIDv7 } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { Bus } from '../../src/bus/bus.ts'
import { type CopyOptions, copyLog, undoCopy } from '../../src/bus/copy/copy-log.ts'
import type { Driver, TransferRecord } from '../../src/bus/driver.ts'
import { app, agent, start } from '../../src/index.ts'
import { turnId } from '../../src/bus/ids.ts'
import { entries, newTask, turn } from '../../src/testing/conformance/entries.ts'
import { MemoryLog } from '../../src/testing/memory/log.ts'
import { CopyableMemoryDriver } from '../../src/testing/memory-transfer.ts'
import { collect } from '../../src/testing/wait.ts'

/* The driver in memory is enough for what a copy refuses, and fast. */

const idle = app({ name: 'idle', use: [agent('listener', { on: 'job.made', run: async () => 'done' })] })
const startOn = (log: MemoryLog) => start(idle, { driver: new CopyableMemoryDriver(log), only: ['agents'] })

const placeOf = (log: MemoryLog, name: string, change: (driver: Driver) => Partial<Driver> = () => ({})) => {
  const driver = new CopyableMemoryDriver(log)
  return { driver: Object.assign(Object.create(driver), change(driver)) as Driver, name }
}

const copy = (from: MemoryLog, to: MemoryLog, more: Partial<CopyOptions> = {}) =>
  copyLog({ from: placeOf(from, 'old'), to: placeOf(to, 'new'), settleMs: 0, ...more })

/** A target that calls back before it imports the nth record. */
const pausing = (log: MemoryLog, at: number, callback: () => Promise<unknown>) =>
  placeOf(log, 'new', ({ transfer }) => ({
    transfer: {
      ...transfer!,
      async importRecords(records, above) {
        const counted = async function* () {
          let n = 0
          for await (const record of records) {
            if (n++ === at) await callback()
            yield record
          }
        }
        await transfer!.importRecords(counted(), above)
      },
    },
  }))

async function logWith(count: number): Promise<MemoryLog> {
  const log = new MemoryLog()
  const running = await startOn(log)
  await running.stop()
  await new CopyableMemoryDriver(log).publish(entries(count))
  return log
}

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'nothing was refused',
    error => error.code ?? String(error),
  )

const publishOn = (log: MemoryLog) => new Bus(new CopyableMemoryDriver(log)).publish({ type: 'job.made', data: null })
const idsOn = async (log: MemoryLog) =>
  (await collect(new CopyableMemoryDriver(log).read({}))).map(({ event }) => event.id)

describe('while a log is copied', () => {
  test('its workers must be stopped', async () => {
    const [from, to] = [await logWith(3), new MemoryLog()]
    const running = await startOn(from)
    await expect(copy(from, to)).rejects.toMatchObject({
      code: 'E_COPY_REFUSED',
      message: expect.stringContaining('workers are on "old", in app/idle'),
    })
    await running.stop()
    expect((await copy(from, to)).events).toBeGreaterThanOrEqual(3)
  })

  test('no worker starts on either log, and nothing is published', async () => {
    const [from, to] = [await logWith(3), new MemoryLog()]
    const open = new Bus(new CopyableMemoryDriver(from))
    const target = pausing(to, 1, async () => {
      expect(await codeOf(startOn(from))).toBe('E_LOG_MOVED')
      expect(await codeOf(startOn(to))).toBe('E_COPY_UNVERIFIED')
      expect(await codeOf(publishOn(from))).toBe('E_LOG_MOVED')
      expect(await codeOf(publishOn(to))).toBe('E_COPY_UNVERIFIED')
      expect(await codeOf(open.publish({ type: 'job.made', data: null }))).toBe('E_LOG_MOVED')
      for (const change of [
        () => open.documents.create('pause', 'a'),
        () => open.redeliver({ key: 'paused/tool/a' }),
        () => open.discard('1'),
        () => open.purge({ maxAgeMs: 0, maxLag: 0 }),
      ])
        expect(await codeOf(change())).toBe('E_LOG_MOVED')
    })
    await copy(from, to, { to: target })
    await (await startOn(to)).stop()
    await expect(startOn(from)).rejects.toMatchObject({
      code: 'E_LOG_MOVED',
      message: expect.stringContaining('this log was copied to "new"'),
    })
  })

  test('a worker that joins just then is told, and gets nothing', async () => {
    const log = await logWith(1)
    const driver = new CopyableMemoryDriver(log)
    const joining = Object.assign(Object.create(driver) as Driver, {
      // Between its first look at the mark and the second one.
      subscribe: async (subscription: Parameters<Driver['subscribe']>[0]) => {
        const mark = { role: 'source', state: 'copying', id: randomUUIDv7(), peer: 'new', above: 1, at: 'now' }
        await driver.putDocument('copy', JSON.stringify(mark), 0)
        return driver.subscribe(subscription)
      },
    })
    const got: unknown[] = []
    const subscribed = new Bus(joining).subscribe({
      group: 'late',
      mode: 'shared',
      filter: [{ types: ['job.>'] }],
      from: 'beginning',
      maxInFlight: 1,
      onDelivery: delivery => void got.push(delivery),
    })
    expect(await codeOf(subscribed)).toBe('E_LOG_MOVED')
    expect(got).toEqual([])
    expect(await driver.hasMembers('late')).toBe(false)
  })

  test('a publisher that does not look is found, and the next run copies what it wrote', async () => {
    const [from, to] = [await logWith(3), new MemoryLog()]
    const late = entries(1)
    const target = pausing(to, 0, () => new CopyableMemoryDriver(from).publish(late))
    await expect(copy(from, to, { to: target })).rejects.toMatchObject({
      code: 'E_COPY_REFUSED',
      message: expect.stringContaining('got events while it was copied'),
    })
    expect(await codeOf(startOn(to))).toBe('E_COPY_UNVERIFIED')
    await copy(from, to)
    expect(await idsOn(to)).toContain(late[0]!.event.id)
  })
})

test('a copy that is interrupted at any record continues, and stores nothing twice', async () => {
  for (const at of [0, 1, 4, 7, 9]) {
    const [from, to] = [await logWith(5), new MemoryLog()]
    const stop = new AbortController()
    const target = pausing(to, at, async () => stop.abort())
    expect(await codeOf(copy(from, to, { to: target, signal: stop.signal }))).not.toBe('nothing was refused')
    expect(await codeOf(startOn(from))).toBe('E_LOG_MOVED')
    expect(await codeOf(startOn(to))).toBe('E_COPY_UNVERIFIED')
    await copy(from, to)
    expect(await idsOn(to)).toEqual(await idsOn(from))
  }
})

describe('two processes that copy', () => {
  test('the same logs: the first one stops, and the second one verifies', async () => {
    const [from, to] = [await logWith(6), new MemoryLog()]
    const took = { records: 0 }
    const target = pausing(to, 3, async () => {
      await copy(from, to)
      // Longer than the first one goes on without a look at the marks.
      await setTimeout(600)
    })
    const { transfer } = target.driver
    Object.assign(target.driver, {
      transfer: {
        ...transfer,
        importRecords: (records: AsyncIterable<TransferRecord>, above: number) =>
          transfer!.importRecords(counting(records, took), above),
      },
    })
    expect(await codeOf(copy(from, to, { to: target }))).toBe('E_COPY_REFUSED')
    // With the one at hand.
    expect(took.records).toBe(4)
    await (await startOn(to)).stop()
    expect(await idsOn(to)).toEqual(expect.arrayContaining(await idsOn(from)))
  })

  test('two logs into one, at the same moment: one is refused', async () => {
    const [from, other, to] = [await logWith(2), await logWith(3), new MemoryLog()]
    const inTime = placeOf(to, 'new', driver => {
      let before: Promise<unknown> | undefined
      return {
        putDocument: async (...document) => {
          await (before ??= copy(other, to))
          return driver.putDocument(...document)
        },
      }
    })
    expect(await codeOf(copy(from, to, { to: inTime }))).toBe('E_COPY_REFUSED')
    expect((await idsOn(to)).toSorted()).toEqual((await idsOn(other)).toSorted())
    await (await startOn(to)).stop()
    expect(await codeOf(startOn(from))).toBe('E_LOG_MOVED')
    await undoCopy(placeOf(from, 'old'))
    await copy(from, new MemoryLog())
  })

  test('one of which undoes what the other does', async () => {
    const [from, to] = [await logWith(2), new MemoryLog()]
    const target = pausing(to, 1, () => undoCopy(placeOf(from, 'old'), placeOf(to, 'new')))
    expect(await codeOf(copy(from, to, { to: target }))).toBe('E_COPY_REFUSED')
    await (await startOn(from)).stop()
    expect(await codeOf(startOn(to))).toBe('E_LOG_MOVED')
  })
})

async function* counting(records: AsyncIterable<TransferRecord>, took: { records: number }) {
  for await (const record of records) {
    took.records++
    yield record
  }
}

test('an open task whose first turns are gone is named, and its log is not copied', async () => {
  const from = await logWith(1)
  const driver = new CopyableMemoryDriver(from)
  const task = newTask()
  await driver.subscribe({ group: 'tasks', mode: 'sharded', filter: [], from: 'now', maxInFlight: 1, onDelivery() {} })
  await driver.commit(turn(task, 0))
  await driver.commit(turn(task, 1))
  await driver.close()
  const purged = placeOf(from, 'old', ({ transfer }) => ({
    transfer: { ...transfer!, exportRecords: () => withoutId(transfer!.exportRecords(), turnId(task, 1)) },
  }))
  const refused = copy(from, new MemoryLog(), { from: purged })
  await expect(refused).rejects.toMatchObject({ code: 'E_COPY_REFUSED', message: expect.stringContaining(task) })
})

async function* withoutId(records: AsyncIterable<TransferRecord>, id: string) {
  for await (const record of records) if (!('entry' in record && record.entry.event.id === id)) yield record
}

test('a target that holds something else than the source is found, and stays closed', async () => {
  const [from, to] = [await logWith(5), new MemoryLog()]
  const forgetful = placeOf(to, 'new', ({ transfer }) => ({
    transfer: {
      ...transfer!,
      importRecords: (records, above) => transfer!.importRecords(without(records, 2), above),
    },
  }))
  const lost = (await idsOn(from))[2]!
  await expect(copy(from, to, { to: forgetful })).rejects.toMatchObject({
    code: 'E_COPY_DIFFERS',
    message: expect.stringContaining((await new CopyableMemoryDriver(from).get(lost, ''))!.event.correlationid),
  })
  expect(await codeOf(startOn(to))).toBe('E_COPY_UNVERIFIED')
})

async function* without(records: AsyncIterable<TransferRecord>, index: number) {
  let n = 0
  for await (const record of records) if (n++ !== index) yield record
}

test('only an empty log can be a target, and one log moves to one place', async () => {
  const [from, to] = [await logWith(2), new MemoryLog()]
  expect(await codeOf(copy(from, await logWith(1)))).toBe('E_COPY_REFUSED')
  // The refused copy has not marked anything.
  await copy(from, to)
  expect(await codeOf(copy(from, to))).toBe('E_COPY_REFUSED')
  expect(await codeOf(copy(from, new MemoryLog()))).toBe('E_COPY_REFUSED')
  expect(await codeOf(copy(await logWith(1), to))).toBe('E_COPY_REFUSED')
  // The copy is a log like any other, and may move on.
  const next = new MemoryLog({ partitions: 3, shards: 5 })
  await copy(to, next)
  expect((await idsOn(next)).toSorted()).toEqual((await idsOn(from)).toSorted())
})

test('a copy is undone: the source is used again, and the target no longer', async () => {
  const [from, to] = [await logWith(2), new MemoryLog()]
  const places = [placeOf(from, 'old'), placeOf(to, 'new')] as const
  expect(await codeOf(undoCopy(...places))).toBe('E_COPY_REFUSED')
  await copy(from, to)
  const running = await startOn(to)
  expect(await codeOf(undoCopy(...places))).toBe('E_COPY_REFUSED')
  await running.stop()
  await undoCopy(...places)
  await (await startOn(from)).stop()
  await expect(startOn(to)).rejects.toMatchObject({
    code: 'E_LOG_MOVED',
    message: expect.stringContaining('was undone'),
  })
  expect(await codeOf(copy(from, to))).toBe('E_COPY_REFUSED')
  await copy(from, new MemoryLog())
})

test('blobs come along, also those that a blob names', async () => {
  const [from, to] = [new MemoryLog(), new MemoryLog()]
  const blobs = new CopyableMemoryDriver(from).blobs
  const inner = await blobs.put('default', Buffer.from('inner'))
  const dataref = await blobs.put('default', Buffer.from(JSON.stringify({ file: inner })))
  const gone = `sha256-${'0'.repeat(64)}`
  await new CopyableMemoryDriver(from).publish(entries(1, () => ({ data: { list: [dataref, gone] } })))
  expect((await copy(from, to)).blobs).toBe(2)
  expect(Buffer.from((await new CopyableMemoryDriver(to).blobs.get('default', inner))!).toString()).toBe('inner')
  await expect(
    copy(from, new MemoryLog(), { to: placeOf(new MemoryLog(), 'other', () => ({ blobs: undefined as never })) }),
  ).rejects.toMatchObject({ code: 'E_COPY_REFUSED' })
})
