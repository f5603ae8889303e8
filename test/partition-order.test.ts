import { randomUUID, randomUUIDv7 } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { MemoryDriver } from '../src/testing/memory/driver.ts'
import { MemoryLog } from '../src/testing/memory/log.ts'
import { Bus } from '../src/bus/bus.ts'
import { beginning, isCovered } from '../src/bus/cursor.ts'
import { emitId, partitionOf, resultId, shardOf, taskId, turnId } from '../src/bus/ids.ts'
import { followByTime, readByTime } from '../src/bus/read-by-time.ts'
import { printEvents } from '../src/cli/tail.ts'
import { openNats } from '../src/drivers/nats/index.ts'
import { createEvent, type CloudEvent, type Draft } from '../src/event.ts'
import { ApprovalService } from '../src/tasks/approval-service.ts'
import { selectInputs } from '../src/replay/redrive.ts'
import { readSelection } from '../src/replay/selection.ts'
import { findApproval } from '../src/tasks/approval-find.ts'
import { collect } from '../src/testing/wait.ts'
import { inMemory, withIndex } from '../src/trace/index/open.ts'
import { FileRecords } from '../src/triggers/files/records.ts'
import { describeNats, natsUrl } from './lib/nats.ts'

/*
 * Order across correlations on a log whose partitions are filled very unevenly: partition 0 has most of the events. The driver in memory
 * reads one partition after the other, and each has its own offsets.
 */

const partitions = 3
const begin = Date.parse('2026-01-01T00:00:00.000Z')

type OpenBus = () => Promise<Bus>

/** A new correlation in a partition. */
function correlationIn(bus: Bus, partition: number): string {
  for (;;) {
    const id = randomUUIDv7()
    if (partitionOf(shardOf(id, bus.shards), bus.partitions) === partition) return id
  }
}

/** Publishes an event that was made `seconds` after the beginning. */
async function put(bus: Bus, seconds: number, draft: Draft): Promise<CloudEvent> {
  const event = { ...createEvent(draft), time: new Date(begin + seconds * 1_000).toISOString() }
  await bus.publishEncoded([{ event, json: JSON.stringify(event) }])
  return event
}

/** One event a second. Every fiftieth is in partition 1, every hundredth in partition 2. */
async function uneven(bus: Bus, count: number): Promise<CloudEvent[]> {
  const events: CloudEvent[] = []
  for (let n = 0; n < count; n++) {
    const correlationid = correlationIn(bus, n % 100 === 99 ? 2 : n % 50 === 49 ? 1 : 0)
    events.push(await put(bus, n, { type: 'count.made', correlationid, data: { word: 'apple', n } }))
  }
  return events
}

const ids = (list: Iterable<{ event: CloudEvent }>) => Array.from(list, ({ event }) => event.id)
const newestFirst = (events: readonly CloudEvent[], limit: number) => events.map(({ id }) => id).toReversed().slice(0, limit) // biome-ignore format: one line

/** Counts the events that are read from the driver from now on. */
function countReads(bus: Bus): { events: number } {
  const counted = { events: 0 }
  const read = bus.driver.read.bind(bus.driver)
  vi.spyOn(bus.driver, 'read').mockImplementation(async function* (query) {
    for await (const entry of read(query)) {
      counted.events++
      yield entry
    }
  })
  return counted
}

/** A turn of a task; the first one starts it. */
const turn = (task: string, version: number, at: number, program: string, end?: string) => ({
  id: turnId(task, version),
  type: 'task.turn',
  correlationid: task.slice(0, 36),
  data: { program, programVersion: 1, programHash: 'h', version, at, inputs: [], emits: [], ...(end && { end }) },
})

/** A request for approval of the first turn of a task. */
async function ask(bus: Bus, seconds: number, partition: number): Promise<CloudEvent> {
  const task = taskId(correlationIn(bus, partition), 'clerk', 'start')
  const correlationid = task.slice(0, 36)
  await put(bus, seconds, turn(task, 1, begin, 'clerk'))
  const request = { id: emitId(task, 1, 0), type: 'approval.requested', correlationid, target: 'boss' }
  return put(bus, seconds, { ...request, data: { what: { input: 1 }, hash: 'h' } })
}

function cases(openBus: OpenBus) {
  test('the lists of the index are newest first', async () => {
    const bus = await openBus()
    const events = await uneven(bus, 400)
    await withIndex(bus, inMemory, async index => {
      const found = async (positions: ReturnType<typeof index.search>) =>
        ids((await bus.readAt(positions)).map(s => s!))
      expect(await found(index.search('apple', { limit: 120 }))).toEqual(newestFirst(events, 120))
      expect(await found(index.search('apple', { limit: 5, type: 'count.*', since: begin }))).toEqual(
        newestFirst(events, 5),
      )
      expect(await found(index.ofTypes(['count.made'], 60))).toEqual(newestFirst(events, 60).toReversed())
      const correlations = events.map(({ correlationid }) => correlationid)
      expect(index.actions(130).map(({ correlation }) => correlation)).toEqual(correlations.toReversed().slice(0, 130))
      expect(index.correlation('last')).toBe(correlations.at(-1))
      expect(() => index.taskOrEvent('nothing')).toThrow(newestFirst(events, 5)[0]!.slice(-6))
    })
  })

  test('tasks and their failures are listed newest first', async () => {
    const bus = await openBus()
    await uneven(bus, 200)
    const tasks: string[] = []
    for (let n = 0; n < 12; n++) {
      const task = taskId(correlationIn(bus, [0, 0, 1, 2][n % 4]!), 'clerk', 'start')
      tasks.push(task)
      await put(bus, 200 + n, turn(task, 1, begin + (200 + n) * 1_000, 'clerk', 'failed'))
      const failed = { id: emitId(task, 1, 0), type: 'agent.task.failed', correlationid: task.slice(0, 36) }
      await put(bus, 200 + n, { ...failed, data: { program: 'clerk', error: { code: 'E_TEST', message: 'no' } } })
    }
    await withIndex(bus, inMemory, index => {
      expect(index.tasks({ limit: 5 }).map(({ task }) => task)).toEqual(tasks.toReversed().slice(0, 5))
      expect(index.failures({ limit: 7 }).map(({ task }) => task)).toEqual(tasks.toReversed().slice(0, 7))
      expect(index.actions(3).map(({ correlation }) => correlation)).toEqual(tasks.toReversed().slice(0, 3).map(task => task.slice(0, 36))) // biome-ignore format: one line
      expect(() => index.task('nothing')).toThrow(/the newest:/)
    })
  })

  test('an older correlation comes first again once it has a new event', async () => {
    const bus = await openBus()
    const events = await uneven(bus, 100)
    const { correlationid } = events[3]!
    await put(bus, 1_000, { type: 'count.made', correlationid, data: null })
    await withIndex(bus, inMemory, index => expect(index.actions(1)[0]!.correlation).toBe(correlationid))
  })

  test('an index that is rebuilt lists the same as one that grew, and one of an older version is rebuilt', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tidings-order-'))
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    const bus = await openBus()
    const file = join(folder, 'index.db')
    const list = (file: string) =>
      withIndex(bus, file, index => [index.search('apple', { limit: 500 }), index.actions(500)])
    for (let n = 0; n < 4; n++) {
      await uneven(bus, 60)
      await list(file)
    }
    const now = await list(file)
    expect(await list(inMemory)).toEqual(now)
    const db = new DatabaseSync(file)
    db.exec('DROP TABLE state; CREATE TABLE state(cursor TEXT, last INTEGER, id TEXT); PRAGMA user_version = 3')
    db.close()
    expect(await list(file)).toEqual(now)
  })

  test('a purge that takes the newest event of a partition does not make the index read the log again', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tidings-order-'))
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    const bus = await openBus()
    const file = join(folder, 'index.db')
    // Read last, and older than everything else.
    await put(bus, -1_000, { type: 'count.made', correlationid: correlationIn(bus, 2), data: null })
    for (let n = 0; n < 300; n++)
      await put(bus, n, { type: 'count.made', correlationid: correlationIn(bus, n % 2), data: null })
    await withIndex(bus, file, index => expect(index.actions(400)).toHaveLength(301))
    await bus.purge({ maxAgeMs: Date.now() - begin + 500_000, maxLag: 0 })
    const read = countReads(bus)
    await withIndex(bus, file, index => expect(index.actions(400)).toHaveLength(300))
    expect(read.events).toBe(0)
  })

  test('what is on the log is read in the order of time, and each cursor covers what was read', async () => {
    const bus = await openBus()
    const events = await uneven(bus, 300)
    const until = await bus.head()
    const all = await collect(readByTime(bus, { until }))
    expect(ids(all)).toEqual(events.map(({ id }) => id))
    for (const n of [0, 48, 49, 99, 150, 298]) {
      expect(all.map(({ position }) => isCovered(all[n]!.cursor, position))).toEqual(all.map((_, i) => i <= n))
      expect(ids(await collect(readByTime(bus, { after: all[n]!.cursor, until })))).toEqual(ids(all.slice(n + 1)))
      expect(ids(await collect(bus.read({ after: all[n]!.cursor })))).toHaveLength(299 - n)
    }
    const some = await collect(readByTime(bus, { until: all[99]!.cursor, filter: [{ types: ['count.*'] }] }))
    expect(ids(some)).toEqual(ids(all.slice(0, 100)))
  })

  test('a tail prints what was missed in the order of time, then what comes', async () => {
    const bus = await openBus()
    const events = await uneven(bus, 120)
    const stop = new AbortController()
    const lines: string[] = []
    vi.spyOn(process.stdout, 'write').mockImplementation((text, ...more) => {
      lines.push(...String(text).trim().split('\n'))
      for (const each of more) if (typeof each === 'function') each()
      return true
    })
    onTestFinished(() => void vi.restoreAllMocks())
    const printing = printEvents(bus, beginning, { json: true }, stop.signal)
    await vi.waitFor(() => expect(lines).toHaveLength(120), { timeout: 10_000 })
    events.push(await put(bus, 500, { type: 'count.made', correlationid: correlationIn(bus, 0), data: null }))
    await vi.waitFor(() => expect(lines).toHaveLength(121), { timeout: 10_000 })
    stop.abort()
    await printing
    expect(lines.map(line => (JSON.parse(line) as { event: CloudEvent }).event.id)).toEqual(events.map(({ id }) => id))
    // The cursor of any line resumes without loss or repetition.
    const { cursor } = JSON.parse(lines[70]!) as { cursor: string }
    const rest: string[] = []
    for await (const { event } of followByTime(bus, cursor, undefined, AbortSignal.timeout(10_000)))
      if (rest.push(event.id) === 50) break
    expect(rest).toEqual(events.slice(71).map(({ id }) => id))
  })

  test('a replay, an export and a redrive read the events of a period in the order of time', async () => {
    const bus = await openBus()
    const events = await uneven(bus, 250)
    const all = events.map(({ id }) => id)
    expect(ids(await collect(readSelection(bus, { all: true })))).toEqual(all)
    const [since, until] = [begin + 120_000, begin + 200_000]
    expect(ids(await collect(readSelection(bus, { since, until })))).toEqual(all.slice(120, 201))
    expect((await selectInputs(bus, { since, until })).map(({ id }) => id)).toEqual(all.slice(120, 201))
  })

  test('open approvals are listed oldest first', async () => {
    const bus = await openBus()
    const asked: CloudEvent[] = []
    for (let n = 0; n < 9; n++) asked.push(await ask(bus, n, [2, 0, 1][n % 3]!))
    const open = await new ApprovalService(bus).open('ann')
    expect(open.map(({ id }) => id)).toEqual(asked.map(({ id }) => id))
  })

  test('of several events of one file, the last one counts after a restart', async () => {
    const bus = await openBus()
    const key = 'a'.repeat(24)
    await new FileRecords(bus, 'in').load(['file.created', 'file.removed'])
    const change = (seconds: number, partition: number, type: string, id: string) =>
    put(bus, seconds, {
      id, type, source: '/triggers/in', correlationid: correlationIn(bus, partition), data: { path: 'a.txt' },
    }) // biome-ignore format: one event
    await change(1, 2, 'file.created', `file:${key}:digest1:stamp1`)
    await change(2, 1, 'file.removed', `file:${key}:removed:stamp2`)
    await change(3, 0, 'file.created', `file:${key}:digest2:stamp3`)
    const records = new FileRecords(bus, 'in')
    await records.load(['file.created', 'file.removed'])
    expect(records.get(key)?.id).toBe(`file:${key}:digest2:stamp3`)
  })
}

const inMemoryBus = async () => new Bus(new MemoryDriver(new MemoryLog({ partitions })))

describe('in memory', () => cases(inMemoryBus))

describeNats('on nats', () =>
  cases(async () => {
    const bus = new Bus(await openNats({ url: `${natsUrl()}/t${randomUUID()}`, partitions }))
    onTestFinished(() => bus.close())
    return bus
  }),
)

test('a request for approval is looked for in its own partition only', async () => {
  const bus = await inMemoryBus()
  const request = await ask(bus, 0, 2)
  for (let n = 0; n < 200; n++) await ask(bus, n, 0)
  const { id, correlationid } = request
  const data = { by: 'ann', at: '', hash: 'h' }
  await put(bus, 900, { id: resultId(id), type: 'approval.granted', correlationid, call: id, data })
  const read = countReads(bus)
  const found = await findApproval(bus, id)
  expect(found).toMatchObject({ request: { id }, answer: { id: resultId(id) } })
  expect(read.events).toBe(2)
})
