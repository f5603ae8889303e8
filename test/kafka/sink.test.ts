import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { event } from '../../src/event.ts'
import type { KafkaSinkOptions } from '../../src/sinks/kafka/kafka-sink.ts'
import { until } from '../../src/testing/wait.ts'
import { describeKafka } from '../lib/kafka.ts'
import { openLog, openTopic } from '../lib/kafka-topics.ts'
import { warnings } from '../lib/mqtt.ts'
import { schemaRegistry } from '../lib/schema-registry.ts'

const paid = event('order.paid', z.object({ order: z.string(), amount: z.number() }))
const order = (n: number) => ({ type: 'order.paid', data: { order: `A${n}`, amount: n } })
const textOf = ({ value }: { value: Buffer }) => JSON.parse(String(value)) as unknown

describeKafka('events become records', () => {
  test('CloudEvents in both modes, and plain data with a key of its own; a tombstone', async () => {
    const [binary, structured, plain, log] = await Promise.all([
      openTopic({ partitions: 3 }),
      openTopic(),
      openTopic(),
      openLog(),
    ])
    await log.write({
      url: binary.url,
      topics: {
        [binary.name]: paid,
        [structured.name]: { types: ['order.*'], form: 'structured' },
        [plain.name]: {
          types: [paid],
          form: 'data',
          key: ({ data }) => (data as { order: string }).order,
          headers: () => ({ shop: 'north' }),
          value: ({ data }) =>
            (data as { amount: number }).amount === 0 ? null : { sum: (data as { amount: number }).amount },
        },
      },
    })
    const [first] = await log.bus.publishAll([order(1)])
    await log.bus.publish(order(0))
    const { id, correlationid } = first!
    const [inBinary, [two], three] = await Promise.all([binary.records(2), structured.records(2), plain.records(2)])
    const one = inBinary.find(({ headers }) => headers.ce_id === id)
    expect(one!.headers).toMatchObject({
      ce_specversion: '1.0',
      ce_id: id,
      ce_type: 'order.paid',
      ce_correlationid: correlationid,
      'content-type': 'application/json',
    })
    expect(textOf(two!)).toMatchObject({ specversion: '1.0', id, type: 'order.paid', data: { order: 'A1', amount: 1 } })
    expect(two!.headers['content-type']).toMatch(/^application\/cloudevents\+json/)
    const [sum, tombstone] = three
    expect([sum!.key, textOf(sum!), sum!.headers.shop]).toEqual(['A1', { sum: 1 }, 'north'])
    expect([tombstone!.key, tombstone!.value ?? null]).toEqual(['A0', null])
  })

  test('in order within a correlation, over a restart, once each while nothing fails', async () => {
    const [topic, log] = await Promise.all([openTopic({ partitions: 3 }), openLog()])
    const options = { url: topic.url, topics: { [topic.name]: paid } }
    const correlations = [randomUUID(), randomUUID(), randomUUID()]
    const publish = (from: number) =>
      log.bus.publishAll(
        Array.from({ length: 60 }, (_, i) => ({ ...order(from + i), correlationid: correlations[i % 3]! })),
      )
    await log.bus.publish(order(-1))
    const first = await log.write(options)
    await publish(0)
    await until(async () => (await log.bus.listGroups())[0]?.lag === 0)
    await first.stop()
    await publish(60)
    await log.write(options)
    const records = await topic.records(120)
    for (const correlation of correlations) {
      const numbers = records
        .filter(({ key }) => key === correlation)
        .map(record => (textOf(record) as { amount: number }).amount)
      expect(numbers).toHaveLength(40)
      expect(numbers).toEqual(numbers.toSorted((a, b) => a - b))
    }
  })

  test('with a schema of the registry, which the trigger reads back', async () => {
    const [{ url: registry }, topic, log, other] = await Promise.all([
      schemaRegistry(),
      openTopic(),
      openLog(),
      openLog(),
    ])
    const schema = JSON.stringify({
      type: 'record',
      name: 'Paid',
      namespace: 'com.acme',
      fields: [
        { name: 'order', type: 'string' },
        { name: 'amount', type: 'double' },
      ],
    })
    const subject = { subject: 'topic-record', record: 'com.acme.Paid', register: { type: 'AVRO', schema } } as const
    await log.write({
      url: topic.url,
      registry: { url: registry },
      topics: { [topic.name]: { types: [paid], schema: subject } },
    })
    await log.bus.publish(order(1))
    await other.read(topic, { registry: { url: registry }, topics: { [topic.name]: paid } })
    expect((await other.events(1))[0]).toMatchObject({ type: 'order.paid', data: { order: 'A1', amount: 1 } })
  })
})

describeKafka('an event that cannot become a record', () => {
  test('is parked, the others are written, and it follows after a fix', async () => {
    const [topic, log] = await Promise.all([openTopic({ configs: { 'max.message.bytes': '2000' } }), openLog()])
    const topics = (value: (data: { amount: number }) => unknown): KafkaSinkOptions => ({
      url: topic.url,
      topics: { [topic.name]: { types: [paid], value: ({ data }) => value(data as { amount: number }) } },
    })
    const sink = await log.write(
      topics(data => {
        if (data.amount === 2) throw new Error('two')
        return data.amount === 3 ? 'x'.repeat(5_000) : data
      }),
    )
    await log.bus.publishAll([1, 2, 3, 4].map(order))
    await until(async () => (await log.parked()).length === 2)
    const reasons = (await log.parked()).map(({ key, reason }) => `${key} ${reason.code} ${reason.message}`)
    expect(reasons.toSorted()).toEqual([
      expect.stringContaining('sink/kafka E_RECORD_INVALID the cluster refuses the record'),
      'sink/kafka E_RECORD_INVALID value() threw: two',
    ])
    await sink.stop()
    await log.write(topics(data => data))
    expect(await log.bus.redeliver({ key: 'sink/kafka' })).toBe(2)
    const amounts = (await topic.records(4)).map(record => (textOf(record) as { amount: number }).amount)
    expect([amounts.slice(0, 2), amounts.slice(2).toSorted((a, b) => a - b)]).toEqual([
      [1, 4],
      [2, 3],
    ])
  })

  test('a replay is not written again', async () => {
    const [topic, log] = await Promise.all([openTopic(), openLog()])
    await log.write({ url: topic.url, topics: { [topic.name]: paid } })
    await log.bus.publish({ ...order(1), replay: 'fork/1' })
    await log.bus.publish(order(2))
    expect((await topic.records(1)).map(textOf)).toEqual([{ order: 'A2', amount: 2 }])
    expect(await log.parked()).toEqual([])
  })

  test('while the cluster is away, events wait on the log', async () => {
    const warned = warnings()
    const log = await openLog()
    const sink = await log.write({ url: 'kafka://127.0.0.1:1', topics: { any: paid } })
    await log.bus.publish(order(1))
    await until(() => warned.some(text => text.includes('not connected')))
    await sink.stop()
    expect([(await log.bus.listGroups())[0]?.lag, await log.parked()]).toEqual([1, []])
  })
})
