import { randomUUID } from 'node:crypto'
import { expect, it, onTestFinished } from 'vitest'
import { correlationAt } from '../../src/bus/ids.ts'
import { parseAddress } from '../../src/drivers/nats/address.ts'
import { openConnection } from '../../src/drivers/nats/connect.ts'
import { openNats } from '../../src/drivers/nats/index.ts'
import type { StreamInfo } from '../../src/drivers/nats/stream.ts'
import { createEvent } from '../../src/event.ts'
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
