import { expect, test } from 'vitest'
import { z } from 'zod'
import { event } from '../../src/event.ts'
import { until } from '../../src/testing/wait.ts'
import { describeKafka } from '../lib/kafka.ts'
import { openLog, openProxy, openTopic } from '../lib/kafka-topics.ts'
import { warnings } from '../lib/mqtt.ts'

const noted = event('note', z.number())
const numbers = (from: number) => Array.from({ length: 10 }, (_, i) => ({ key: `k${i}`, value: String(from + i) }))

describeKafka('requests and connections that are lost', () => {
  test('lose no record, and repeat no event', async () => {
    warnings()
    const [topic, proxy, log] = await Promise.all([openTopic({ partitions: 2 }), openProxy(), openLog()])
    await log.read({ ...topic, url: `kafka://${proxy.bootstrap}` })
    const lostCommit = proxy.breakNext('OffsetCommit', 'before')
    const lostAnswer = proxy.breakNext('Fetch', 'after', 2)
    await topic.produce(...numbers(0))
    await log.events(10)
    proxy.cut()
    await topic.produce(...numbers(10))
    const events = await log.events(20)
    expect([lostCommit(), lostAnswer()]).toEqual([1, 2])
    expect(events.map(({ data }) => (data as { value: number }).value).toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: 20 }, (_, i) => i),
    )
    await until(async () => (await topic.committed()).reduce((a, b) => a + b, 0) === 20)
  })

  test('write a record once where the answer of the broker is lost, and no record too few', async () => {
    warnings()
    const [topic, proxy, log] = await Promise.all([openTopic(), openProxy(), openLog()])
    await log.write({ url: `kafka://${proxy.bootstrap}`, topics: { [topic.name]: noted } })
    const lost = proxy.breakNext('Produce', 'after')
    for (let n = 0; n < 5; n++) await log.bus.publish({ type: 'note', data: n })
    await until(async () => (await log.bus.listGroups())[0]?.lag === 0)
    proxy.cut()
    await log.bus.publish({ type: 'note', data: 5 })
    const values = (await topic.records(6)).map(({ value }) => Number(value))
    expect([lost(), values.length]).toEqual([1, 6])
    expect(values.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5])
  })
})
