import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { Bus } from '../src/bus/bus.ts'
import { MemoryDriver } from '../src/testing/memory/driver.ts'
import { MemoryLog } from '../src/testing/memory/log.ts'
import { withinTime } from '../src/gateway/views/within-time.ts'
import { LiveIndex } from '../src/trace/index/live.ts'
import { dumpIndex } from './lib/index-dump.ts'

/* The index of a process that goes on: it stays open, and each question first adds what is new. */

async function setUp(events = 0) {
  const folder = await mkdtemp(join(tmpdir(), 'tidings-live-'))
  const log = new MemoryLog({ partitions: 2 })
  const bus = new Bus(new MemoryDriver(log))
  const publish = (id: string, tenant = 'default') =>
    bus.publish({ id, type: 'order.paid', tenant, data: { text: `about ${id}` } })
  for (let n = 0; n < events; n++) await publish(`e${n}`)
  const opened: LiveIndex[] = []
  const open = (file?: string) => {
    const live = new LiveIndex(bus, { file })
    opened.push(live)
    return live
  }
  onTestFinished(async () => {
    for (const live of opened) await live.close()
    await bus.close()
    await rm(folder, { recursive: true, force: true })
  })
  return { bus, publish, open, file: join(folder, 'index/test.db') }
}

test('a question that comes while others are answered sees what was published before it', async () => {
  const { bus, publish } = await setUp(2_000)
  const begun = Promise.withResolvers<void>()
  const live = new LiveIndex(bus, { onProgress: () => begun.resolve() })
  onTestFinished(() => live.close())
  const first = live.query(index => index.positionOf('e1999'))
  await begun.promise
  await publish('new')
  const second = live.query(index => index.positionOf('new'))
  expect(await second).toBeDefined()
  expect(await first).toBeDefined()
})

test('several processes have one file open, and one that is deleted or overwritten is built again', async () => {
  const { publish, open, file } = await setUp(600)
  const [one, two] = [open(file), open(file)]
  const found = async (live: LiveIndex) => (await live.query(index => index.search('about', { limit: 1_000 }))).length
  const counts = await Promise.all([found(one), found(two), found(one)])
  expect(counts).toEqual([600, 600, 600])
  await publish('more')
  expect(await Promise.all([found(one), found(two)])).toEqual([601, 601])
  await one.close()
  await two.close()
  await writeFile(file, 'not a database, but long enough to be taken for one: '.repeat(200))
  expect(await found(open(file))).toBe(601)
  const fresh = open(`${file}.fresh`)
  await found(fresh)
  await fresh.close()
  expect(dumpIndex(file)).toEqual(dumpIndex(`${file}.fresh`))
  await expect(one.query(() => {})).rejects.toMatchObject({ code: 'E_BUS_CLOSED' })
})

test('a page of events goes on where the page before ended, whatever is published meanwhile, also over partitions', async () => {
  const { publish, open } = await setUp(50)
  const live = open()
  for (const [n, tenant] of ['acme', 'default'].entries()) await publish(`other-${n}`, tenant)
  const reader = { tenant: 'default', mayRead: () => true }
  const seen: string[] = []
  let next: string | undefined
  do {
    const page = await live.query(index => index.events(reader, {}, { before: next, limit: 7 }))
    seen.push(...page.events.map(({ position }) => `${position.partition}:${position.offset}`))
    next = page.next
    await publish(`late-${seen.length}`)
  } while (next !== undefined)
  expect(seen).toHaveLength(51)
  expect(new Set(seen).size).toBe(51)
  const all = await live.query(index => index.events(reader, {}, { limit: 1_000 }))
  expect(all.events.length).toBeGreaterThan(51)
  expect(await live.query(index => index.events({ ...reader, tenant: 'acme' }, {}, { limit: 9 }))).toMatchObject({
    events: [{}],
  })
  expect(
    (await live.query(index => index.events({ ...reader, mayRead: () => false }, {}, { limit: 9 }))).events,
  ).toEqual([])
  const broken = live.query(index => index.events(reader, {}, { before: 'no cursor', limit: 9 }))
  await expect(broken).rejects.toMatchObject({ code: 'E_REQUEST_INVALID' })
})

test('a list does not wait for minutes until a long log is indexed', async () => {
  const building = withinTime(() => new Promise<never>(() => {}), 1)
  await expect(building(() => {})).rejects.toMatchObject({ code: 'E_BUSY', retryable: true })
  const { open } = await setUp(1)
  expect(await withinTime(open().query)(index => index.positionOf('e0'))).toBeDefined()
})
