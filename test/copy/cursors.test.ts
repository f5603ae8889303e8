import { describe, expect, onTestFinished, test } from 'vitest'
import { Bus } from '../../src/bus/bus.ts'
import { copyLog } from '../../src/bus/copy/copy-log.ts'
import { cursorsIn } from '../../src/bus/copy/document-cursors.ts'
import { isCovered } from '../../src/bus/cursor.ts'
import type { Cursor, LogEntry } from '../../src/bus/driver.ts'
import { startGateway } from '../../src/gateway/gateway.ts'
import { renewLease } from '../../src/taps/instances.ts'
import { entries } from '../../src/testing/conformance/entries.ts'
import { MemoryLog } from '../../src/testing/memory/log.ts'
import { CopyableMemoryDriver } from '../../src/testing/memory-transfer.ts'
import { collect } from '../../src/testing/wait.ts'
import { LiveIndex } from '../../src/trace/index/live.ts'
import { FileRecords } from '../../src/triggers/files/records.ts'
import { Session } from '../../src/triggers/mqtt/session.ts'

const moved = (from: MemoryLog, to: MemoryLog) =>
  copyLog({
    from: { driver: new CopyableMemoryDriver(from), name: 'old' },
    to: { driver: new CopyableMemoryDriver(to), name: 'new' },
    settleMs: 0,
  })

/** Ten events, and after the first five every document that holds a place on the log. */
async function logWithPlaces(partitions: number) {
  const log = new MemoryLog({ partitions })
  const bus = new Bus(new CopyableMemoryDriver(log))
  await bus.publishEncoded(entries(5))
  await new FileRecords(bus, 'inbox').load(['file.changed'])
  await (await Session.open(bus, { clientId: 'meter', source: '/mqtt', types: ['mqtt.received'] })).save()
  await renewLease(bus, { tap: 'models', id: 'a' }, await bus.head())
  const keys = [...log.documents.keys()].filter(key => /^(files|mqtt|tap)\/[^/]+$/.test(key))
  expect(new Set(keys.map(key => key.split('/')[0]))).toEqual(new Set(['files', 'mqtt', 'tap']))
  await bus.publishEncoded(entries(5))
  return { log, keys }
}

const placesOf = ({ documents }: MemoryLog, keys: readonly string[]): Cursor[] =>
  keys.flatMap(key => cursorsIn(key, documents.get(key)!.value))

const readAll = (log: MemoryLog): Promise<LogEntry[]> => collect(new CopyableMemoryDriver(log).read({}))

describe('documents that hold a place on the log', () => {
  test.each([
    [1, 1],
    [1, 3],
    [3, 3],
    [3, 1],
  ])('hold the same place after a move from %i to %i partitions', async (before, after) => {
    const { log, keys } = await logWithPlaces(before)
    const target = new MemoryLog({ partitions: after })
    await moved(log, target)
    const [old, now] = [await readAll(log), await readAll(target)]
    const cursors = placesOf(target, keys)
    // One of mqtt is the beginning, which stays what it is.
    expect(cursors).toHaveLength(4)
    for (const [i, cursor] of placesOf(log, keys).entries())
      for (const { event, position } of now) {
        const source = old.find(each => each.event.id === event.id)!
        const was = isCovered(cursor, source.position)
        // Several partitions become one in the order of time, so a place may be a little earlier there; never later.
        if (isCovered(cursors[i]!, position)) expect(was).toBe(true)
        else if (before <= after) expect(was).toBe(false)
      }
  })
})

test('a cursor of the old log is refused on the new one, with a code that browsers know', async () => {
  const { log } = await logWithPlaces(1)
  const target = new MemoryLog()
  await moved(log, target)
  const gateway = await startGateway({ bus: new Bus(new CopyableMemoryDriver(target)), port: 0 })
  onTestFinished(() => gateway.stop())
  const open = (after: string) => fetch(`${gateway.url}/events/stream?after=${after}`)
  const refused = await open('5')
  expect([refused.status, await refused.json()]).toMatchObject([410, { error: { code: 'E_CURSOR_EXPIRED' } }])
  const fromOldest = await open('0')
  expect(fromOldest.status).toBe(200)
  await fromOldest.body!.cancel()
})

test('an index of the old log is rebuilt, and counts what it has not read from where the log begins', async () => {
  const { log } = await logWithPlaces(1)
  const target = new MemoryLog()
  await moved(log, target)
  const index = new LiveIndex(new Bus(new CopyableMemoryDriver(target)))
  onTestFinished(() => index.close())
  expect(await index.behind()).toBe(10)
  await index.query(opened => opened)
  expect(await index.behind()).toBe(0)
})
