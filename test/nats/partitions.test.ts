import { randomUUID } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { expect, it, onTestFinished } from 'vitest'
import type { Delivery, Driver, Subscription } from '../../src/bus/driver.ts'
import { correlationAt, partitionOf, shardOf } from '../../src/bus/ids.ts'
import { parseAddress } from '../../src/drivers/nats/address.ts'
import { openConnection } from '../../src/drivers/nats/connect.ts'
import { openNats } from '../../src/drivers/nats/index.ts'
import type { StreamInfo } from '../../src/drivers/nats/stream.ts'
import { type CloudEvent, createEvent } from '../../src/event.ts'
import { until } from '../../src/testing/wait.ts'
import { describeNats, natsUrl } from '../lib/nats.ts'

async function open(url: string, partitions?: number) {
  const driver = await openNats({ url: partitions === undefined ? url : `${url}?partitions=${partitions}` })
  onTestFinished(() => driver.close())
  return driver
}

async function api(url: string) {
  const connection = await openConnection(parseAddress(url), 10_000)
  onTestFinished(() => connection.close())
  return connection.api.bind(connection)
}

const newLog = () => `${natsUrl()}/p${randomUUID()}`
const logOf = (url: string) => parseAddress(url).log

const entry = (n: number) => {
  const event = createEvent({ type: 'order.placed', data: n, correlationid: correlationAt(Date.now(), String(n)) })
  return { event, json: JSON.stringify(event) }
}

describeNats('a log with several partitions', () => {
  it('has a stream for each, and any member finds out how many there are', async () => {
    const url = newLog()
    const first = await open(url, 3)
    const second = await open(url)
    expect([first.partitions, second.partitions]).toEqual([3, 3])
    await first.publish(Array.from({ length: 60 }, (_, n) => entry(n)))
    const call = await api(url)
    for (let partition = 0; partition < 3; partition++) {
      const { state } = await call<StreamInfo>(`STREAM.INFO.${logOf(url)}_${partition}`)
      expect(state.messages).toBeGreaterThan(0)
    }
    const read = await Array.fromAsync(second.read({}), ({ event }) => event.data as number)
    expect(read.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 60 }, (_, n) => n))
  })

  it('is created once, by members that disagree at the same time', async () => {
    const url = newLog()
    const opened = await Promise.allSettled([open(url, 2), open(url, 3), open(url, 2), open(url, 3)])
    const [winner] = opened.flatMap(result => (result.status === 'fulfilled' ? [result.value.partitions] : []))
    expect(opened.map(({ status }) => status)).toEqual(
      [2, 3, 2, 3].map(partitions => (partitions === winner ? 'fulfilled' : 'rejected')),
    )
  })

  it('keeps its number: an address with another one is refused', async () => {
    const url = newLog()
    await open(url, 3)
    await expect(open(url, 2)).rejects.toMatchObject({
      code: 'E_SETTING_INVALID',
      message: expect.stringContaining('has 3 partitions, and its address says partitions=2'),
    })
  })

  it('keeps its number also if the stream of its state was lost', async () => {
    const url = newLog()
    const sent = entry(1)
    await (await open(url, 3)).publish([sent])
    await (await api(url))(`STREAM.DELETE.${logOf(url)}_state`)
    const driver = await open(url)
    expect(driver.partitions).toBe(3)
    expect(await driver.get(sent.event.id, sent.event.correlationid)).toMatchObject({ event: sent.event })
  })

  it('has no more partitions than shards', async () => {
    await expect(openNats({ url: `${newLog()}?shards=4&partitions=5` })).rejects.toMatchObject({
      code: 'E_SETTING_INVALID',
      message: expect.stringContaining('partitions=5 is more than the 4 shards'),
    })
  })

  it('is not stored in the stream of another log', async () => {
    const url = newLog()
    await open(url, 2)
    await expect(open(`${url}_1`)).rejects.toMatchObject({
      code: 'E_SETTING_INVALID',
      message: expect.stringContaining('does not belong to the log'),
    })
  })
})

const partitionIn3 = (event: CloudEvent) => partitionOf(shardOf(event.correlationid, 8), 3)

/** Entries of one partition of three. */
function entriesIn(partition: number, count: number) {
  const found: ReturnType<typeof entry>[] = []
  for (let n = 0; found.length < count; n++) {
    const each = entry(n)
    if (partitionIn3(each.event) === partition) found.push(each)
  }
  return found
}

const idsOf = (sent: readonly { event: { id: string } }[]) => sent.map(({ event }) => event.id).toSorted()

/** Collects the deliveries of a shared group. */
async function join(driver: Driver, more: Partial<Subscription> = {}): Promise<Delivery[]> {
  const received: Delivery[] = []
  await driver.subscribe({
    group: 'group',
    mode: 'shared',
    filter: [{ types: ['order.placed'] }],
    maxInFlight: 100,
    from: 'now',
    onDelivery: delivery => received.push(delivery),
    ...more,
  })
  return received
}

describeNats('partitions of unequal length', () => {
  /** Partition 0 is far ahead. */
  async function unequal(url = newLog()) {
    const driver = await open(url, 3)
    await driver.publish(entriesIn(0, 30))
    return { url, driver }
  }

  it('are all followed, and a cursor resumes in each where it was', async () => {
    const { driver } = await unequal()
    const seen: { id: string; cursor: string }[] = []
    const follow = async (after: string, count: number) => {
      const abort = new AbortController()
      for await (const { event, cursor } of driver.follow(
        after,
        undefined,
        AbortSignal.any([abort.signal, AbortSignal.timeout(5_000)]),
      )) {
        seen.push({ id: event.id, cursor })
        if (seen.length === count) abort.abort()
      }
    }
    const sent = [0, 1, 2].flatMap(partition => entriesIn(partition, 4))
    const head = await driver.head()
    await driver.publish(sent)
    await follow(head, 6)
    await follow(seen.at(-1)!.cursor, 12)
    expect(seen.map(({ id }) => id).toSorted()).toEqual(idsOf(sent))
    expect(seen.at(-1)!.cursor).toBe(await driver.head())
  })

  it('are each read on from where a page ended', async () => {
    const { driver } = await unequal()
    const sent = [0, 1, 2].flatMap(partition => entriesIn(partition, 4))
    let after = await driver.head()
    await driver.publish(sent)
    const read: string[] = []
    while (after !== (await driver.head()))
      for await (const each of driver.read({ after })) {
        read.push(each.event.id)
        after = each.cursor
        if (read.length % 2 === 0) break
      }
    expect(read.toSorted()).toEqual(idsOf(sent))
  })

  it('each have their own start of a group that begins now', async () => {
    const { driver } = await unequal()
    const received = await join(driver)
    const sent = [0, 1, 2].flatMap(partition => entriesIn(partition, 2))
    await driver.publish(sent)
    await until(() => received.length === sent.length)
    expect(idsOf(received)).toEqual(idsOf(sent))
  })

  it('are each purged up to what their own groups and tasks need', async () => {
    const { driver } = await unequal()
    const received = await join(driver, { from: 'beginning' })
    await driver.publish([...entriesIn(1, 3), ...entriesIn(2, 3)])
    await until(() => received.length === 36)
    // Nothing of partition 1 is settled, and all of the others.
    const settled = received.filter(({ event }) => partitionIn3(event) !== 1)
    await Promise.all(settled.map(each => each.settle({ kind: 'done' })))
    await until(async () => (await driver.listGroups())[0]!.lag === 3)
    await setTimeout(5)
    expect(await driver.purge({ maxAgeMs: 1, maxLag: 1_000 })).toMatchObject({ events: 33 })
    const left = await Array.fromAsync(driver.read({}))
    expect(left.map(({ position }) => position.partition)).toEqual([1, 1, 1])
  })

  it('do not share the place of a deferred delivery, or of one in flight, although offsets are equal', async () => {
    const driver = await open(newLog(), 3)
    const received = await join(driver, { from: 'beginning' })
    const sent = [0, 1, 2].flatMap(partition => entriesIn(partition, 1))
    const stored = await driver.publish(sent)
    expect(stored.map(({ position }) => position.offset)).toEqual([1, 1, 1])
    await until(() => received.length === 3)
    const reason = { code: 'E_INTERNAL', message: 'no' }
    for (const each of received) await each.settle({ kind: 'discard', reason })
    const deferred = await Array.fromAsync(driver.listDeferred())
    expect(idsOf(deferred)).toEqual(idsOf(sent))
    for (const { id } of deferred) await driver.redeliver({ id })
    await until(() => received.length === 6)
    expect(idsOf(received.slice(3))).toEqual(idsOf(sent))
  })
})

describeNats('a log of an older version', () => {
  /** The streams as they were created before there were partitions. */
  async function createOld(url: string) {
    const log = logOf(url)
    const call = await api(url)
    const single = { storage: 'file', allow_direct: true, max_msgs_per_subject: 1, discard: 'old', allow_msg_ttl: true }
    await call(`STREAM.CREATE.${log}`, {
      name: log,
      subjects: ['e', 't', 'r', 'w'].map(kind => `${log}.${kind}.>`),
      storage: 'file',
      allow_direct: true,
      allow_atomic: true,
      discard: 'new',
      metadata: { 'tidings-shards': '5', 'tidings-format': '1', 'tidings-log': randomUUID() },
    })
    await call(`STREAM.CREATE.${log}_state`, { ...single, name: `${log}_state`, subjects: [`${log}.s.>`] })
    await call(`STREAM.CREATE.${log}_blobs`, { ...single, name: `${log}_blobs`, subjects: [`${log}.b.>`] })
  }

  it('is opened as it is: one partition, and its own number of shards', async () => {
    const url = newLog()
    await createOld(url)
    const driver = await open(url)
    expect(driver).toMatchObject({ partitions: 1, shards: 5 })
    const { event, json } = entry(1)
    const [stored] = await driver.publish([{ event, json }])
    expect(stored).toMatchObject({ position: { partition: 0, offset: 1 } })
    expect(await driver.head()).toBe('1')
  })

  it('is refused when the address asks for more partitions', async () => {
    const url = newLog()
    await createOld(url)
    await expect(open(url, 3)).rejects.toMatchObject({
      code: 'E_SETTING_INVALID',
      message: expect.stringContaining('has 1 partition, and its address says partitions=3'),
    })
  })
})
