import { createHash, randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { event } from '../../src/event.ts'
import type { KafkaRejected } from '../../src/received.ts'
import { until } from '../../src/testing/wait.ts'
import { kafka } from '../../src/triggers/kafka/kafka.ts'
import { describeKafka } from '../lib/kafka.ts'
import { openLog, openTopic } from '../lib/kafka-topics.ts'
import { warnings } from '../lib/mqtt.ts'

const paid = event('order.paid', z.object({ order: z.string(), amount: z.number() }))
const json = (value: unknown) => ({ value: JSON.stringify(value) })

describeKafka('records become events', () => {
  test('untyped: JSON, text, bytes, a tombstone, headers and the key', async () => {
    const [topic, log] = await Promise.all([openTopic(), openLog()])
    await topic.produce(
      { key: 'k', ...json({ n: 1 }), headers: { from: 'crm' } },
      { value: 'plain text' },
      { value: Buffer.from([0xff, 0, 1]) },
      { key: 'k', value: null },
      { value: '9007199254740993' },
    )
    await log.read(topic)
    const events = await log.events(5)
    expect(events.map(({ type, subject }) => [type, subject])).toEqual([
      ['kafka.received', 'k'],
      ['kafka.received', undefined],
      ['kafka.received', undefined],
      ['kafka.received', 'k'],
      ['kafka.received', undefined],
    ])
    const place = { topic: topic.name, partition: 0, timestamp: expect.any(String) as unknown }
    const bytes = { blob: expect.stringMatching(/^sha256-/) as unknown, bytes: 3 }
    expect(events.map(({ data }) => data)).toEqual([
      { ...place, offset: 0, key: 'k', value: { n: 1 }, headers: [{ name: 'from', value: 'crm' }] },
      { ...place, offset: 1, key: null, value: 'plain text' },
      { ...place, offset: 2, key: null, value: null, raw: bytes },
      { ...place, offset: 3, key: 'k', value: null, tombstone: true },
      { ...place, offset: 4, key: null, value: '9007199254740993' },
    ])
    await until(async () => (await topic.committed())[0] === 5)
  })

  test('typed, and mapped with an id and a correlation of its own', async () => {
    const [topic, typed, log] = await Promise.all([openTopic(), openTopic(), openLog()])
    await typed.produce({ key: 'A1', ...json({ order: 'A1', amount: 3 }) })
    await topic.produce(
      json({ nr: 7, cents: 150 }),
      json({ nr: 7, cents: 150 }),
      json({ skip: true }),
      json({ nr: 8, cents: 1 }),
    )
    await log.read(topic, {
      topics: {
        [typed.name]: paid,
        [topic.name]: {
          map: ({ value }) => {
            const { nr, cents } = value as { nr?: number; cents: number }
            if (nr === undefined) return undefined
            return {
              type: paid,
              id: `${nr}`,
              correlation: `order ${nr}`,
              data: { order: `${nr}`, amount: cents / 100 },
            }
          },
        },
      },
    })
    await until(async () => (await topic.committed())[0] === 4)
    const events = await log.events(3)
    expect(events.filter(({ subject }) => subject === 'A1').map(({ data }) => data)).toEqual([
      { order: 'A1', amount: 3 },
    ])
    const mapped = events.filter(({ id }) => id.startsWith('kafka:id:'))
    expect(mapped.map(({ data }) => data)).toEqual([
      { order: '7', amount: 1.5 },
      { order: '8', amount: 0.01 },
    ])
    expect(new Set(mapped.map(({ correlationid }) => correlationid)).size).toBe(2)
  })

  test('CloudEvents, binary and structured; the same event by both ways is one', async () => {
    const [topic, log] = await Promise.all([openTopic(), openLog()])
    const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`
    const ce = { ce_specversion: '1.0', ce_id: '1', ce_source: '/crm', ce_type: 'order.paid', ce_subject: 'A1' }
    const data = { order: 'A1', amount: 3 }
    await topic.produce(
      { ...json(data), headers: { ...ce, 'content-type': 'application/json', ce_traceparent: traceparent } },
      {
        ...json({ specversion: '1.0', id: '1', source: '/crm', type: 'order.paid', data }),
        headers: { 'content-type': 'application/cloudevents+json; charset=UTF-8' },
      },
      { ...json(data), headers: { ...ce, ce_id: '2', ce_type: 'agent.result' } },
      { ...json(data), headers: { ...ce, ce_id: '3', ce_specversion: '0.3' } },
      json(data),
    )
    await log.read(topic, { topics: { [topic.name]: 'cloudevents' } })
    const events = await log.events(4)
    expect(events.map(({ type }) => type)).toEqual(['order.paid', ...Array<string>(3).fill('kafka.rejected')])
    expect(events[0]).toMatchObject({ subject: 'A1', data, traceparent, source: '/triggers/kafka' })
    const reasons = events.slice(1).map(({ data }) => (data as KafkaRejected).error.code)
    expect(reasons).toEqual(['E_EVENT_INVALID', 'E_RECORD_INVALID', 'E_RECORD_INVALID'])
  })

  test('records of a transaction that was aborted are none', async () => {
    const [topic, log] = await Promise.all([openTopic(), openLog()])
    const { Producer } = await import('@platformatic/kafka')
    const bootstrapBrokers = [topic.url.slice('kafka://'.length)]
    const producer = new Producer({
      clientId: 'tx',
      bootstrapBrokers,
      idempotent: true,
      transactionalId: topic.name,
      producerId: -1n,
      producerEpoch: -1,
      retries: 20,
      retryDelay: 50,
    })
    // The filter of the client hands out the records of the first of two aborted transactions.
    for (const [n, ending] of [
      [1, 'abort'],
      [2, 'commit'],
      [3, 'abort'],
    ] as const) {
      const transaction = await producer.beginTransaction()
      await transaction.send({ messages: [{ topic: topic.name, value: Buffer.from(String(n)) }] })
      await transaction[ending]()
    }
    await producer.close(true)
    await topic.produce(json('end'))
    await log.read(topic)
    await until(async () => (await topic.committed())[0] === 7)
    expect((await log.stored()).map(({ data }) => (data as { value: unknown }).value)).toEqual([2, 'end'])
  })
})

describeKafka('a record that cannot become an event', () => {
  test('is set aside with its bytes, released after a fix, and does not stop the partition', async () => {
    warnings()
    const [topic, log] = await Promise.all([openTopic(), openLog()])
    const big = randomBytes(3_000)
    await topic.produce(
      { key: 'a', ...json({ order: 'A1', amount: 'three' }), headers: { h: '1' } },
      { value: big },
      { key: 'b', ...json({ order: 'B1', amount: 2 }) },
    )
    const first = await log.read(topic, { topics: { [topic.name]: paid } })
    const [invalid, bytes, good] = await log.events(3)
    expect(good).toMatchObject({ type: 'order.paid', data: { order: 'B1', amount: 2 } })
    const { value, sha256, headers, error } = invalid!.data as KafkaRejected
    expect(Buffer.from((value as { base64: string }).base64, 'base64').toString()).toBe(
      '{"order":"A1","amount":"three"}',
    )
    expect(headers).toEqual([{ name: 'h', value: { base64: 'MQ==' } }])
    expect(error).toMatchObject({ code: 'E_EVENT_INVALID', message: expect.stringContaining('amount') })
    expect(sha256).toMatch(/^[0-9a-f]{64}$/)
    const large = bytes!.data as KafkaRejected
    const { blob } = large.value as { blob: string }
    expect(Buffer.from(await log.bus.getBlob('default', blob)).equals(big)).toBe(true)
    expect(large.sha256).toBe(createHash('sha256').update(big).digest('hex'))
    await until(async () => (await log.parked()).length === 2)
    expect((await log.parked()).map(({ state, key }) => [state, key])).toEqual(
      Array(2).fill(['parked', 'trigger/kafka']),
    )
    await until(async () => (await topic.committed())[0] === 3)
    await first.stop()

    // The fix.
    const lenient = event('order.paid', z.object({ order: z.string(), amount: z.unknown() }))
    await log.read(topic, { topics: { [topic.name]: lenient } })
    expect(await log.bus.redeliver({ key: 'trigger/kafka' })).toBe(2)
    const released = (await log.events(4)).at(-1)!
    expect(released).toMatchObject({ type: 'order.paid', subject: 'a', data: { order: 'A1', amount: 'three' } })
    expect(released.causationid).toBe(invalid!.id)
    expect(`${released.id}:rejected`).toBe(invalid!.id)
    // The other one is still at fault.
    await until(async () => (await log.parked()).length === 1)
  })

  test('a mapping that throws, a value that is too large, a reserved type', async () => {
    warnings()
    const [topic, log] = await Promise.all([openTopic(), openLog()])
    await topic.produce(
      { value: '"throw"' },
      { value: `"${'x'.repeat(2_000)}"` },
      { value: '"reserved"' },
      { value: '"ok"' },
    )
    await log.read(topic, {
      maxBytes: 1_000,
      topics: {
        [topic.name]: {
          map: ({ value }) => {
            if (value === 'throw') throw new Error('no such customer')
            return { type: value === 'reserved' ? 'task.ended' : 'crm.note', data: value }
          },
        },
      },
    })
    const events = await log.events(4)
    expect(events.map(({ type }) => type)).toEqual([...Array<string>(3).fill('kafka.rejected'), 'crm.note'])
    expect(events.slice(0, 3).map(({ data }) => (data as KafkaRejected).error.message)).toEqual([
      'map() threw: no such customer',
      'the value has 2002 bytes, but maxBytes is 1000',
      expect.stringContaining('"task.ended" is reserved'),
    ])
  })

  test('nothing is set aside because the registry is away', async () => {
    const warned = warnings()
    const [topic, log] = await Promise.all([openTopic(), openLog()])
    await topic.produce({ value: Buffer.from([0, 0, 0, 0, 1, 2]) })
    const running = await log.read(topic, { registry: { url: 'http://127.0.0.1:1' } })
    await until(() => warned.some(text => text.includes('E_REGISTRY_UNAVAILABLE')))
    await running.stop()
    expect([await log.stored(), await topic.committed()]).toEqual([[], [0]])
  })
})

describeKafka('offsets', () => {
  test('are committed only when the events are on the log; what is read again meets its events', async () => {
    const warned = warnings()
    const [topic, log] = await Promise.all([openTopic({ partitions: 2 }), openLog()])
    const numbers = Array.from({ length: 40 }, (_, i) => i)
    const first = await log.read(topic)
    log.commits.fail(1_000_000)
    await topic.produce(...numbers.map(n => ({ key: `k${n % 5}`, ...json(n) })))
    await until(() => warned.some(text => text.includes('records wait')))
    expect([await log.stored(), (await topic.committed()).reduce((a, b) => a + b, 0)]).toEqual([[], 0])
    log.commits.fail(0)
    await log.events(40)
    await first.stop()
    expect((await topic.committed()).reduce((a, b) => a + b, 0)).toBe(40)

    // As after a crash before the commit.
    await topic.admin.deleteGroups({ groups: [topic.group] })
    const again = await log.read(topic)
    await until(async () => (await topic.committed()).reduce((a, b) => a + b, 0) === 40)
    await again.stop()
    const values = (await log.stored()).map(({ data }) => (data as { value: number }).value)
    expect(values.toSorted((a, b) => a - b)).toEqual(numbers)
    for (let key = 0; key < 5; key++) {
      const ofKey = values.filter(n => n % 5 === key)
      expect(ofKey).toEqual(ofKey.toSorted((a, b) => a - b))
    }
  })

  test('two processes share the partitions; when one leaves, the other takes over and nothing is lost', async () => {
    const [topic, log] = await Promise.all([openTopic({ partitions: 4 }), openLog()])
    const [first, second] = [await log.read(topic), await log.read(topic)]
    const records = (from: number) =>
      Array.from({ length: 20 }, (_, i) => ({ key: `k${i}`, partition: i % 4, ...json(from + i) }))
    await topic.produce(...records(0))
    await log.events(20)
    const stopping = first.stop()
    await topic.produce(...records(20))
    await stopping
    await topic.produce(...records(40))
    const events = await log.events(60)
    expect(new Set(events.map(({ data }) => (data as { value: number }).value)).size).toBe(60)
    await second.stop()
    expect(await topic.committed()).toEqual([15, 15, 15, 15])
  })

  test('a new group begins now; what comes before its first record is read is kept', async () => {
    const [topic, log] = await Promise.all([openTopic(), openLog()])
    await topic.produce(json('before'))
    await (await log.read(topic, { from: 'now' })).stop()
    await topic.produce(json('while stopped'))
    await log.read(topic, { from: 'now' })
    const events = await log.events(1)
    expect(events.map(({ data }) => (data as { value: unknown }).value)).toEqual(['while stopped'])
  })

  test('a topic that was made again has other records', async () => {
    const warned = warnings()
    const [topic, log] = await Promise.all([openTopic(), openLog()])
    await topic.produce(json(1), json(2), json(3))
    const first = await log.read(topic)
    await log.events(3)
    await first.stop()
    await topic.remove()
    await until(() =>
      topic.create().then(
        () => true,
        () => false,
      ),
    )
    await topic.produce(json(4))
    await topic.admin.deleteGroups({ groups: [topic.group] }).catch(() => {})
    await log.read(topic)
    expect((await log.events(4)).map(({ data }) => (data as { value: unknown }).value)).toEqual([1, 2, 3, 4])
    expect(warned.filter(text => text.includes('continues at offset'))).toEqual([])
  })

  test('a topic that is made again while it is read begins at its beginning', async () => {
    warnings()
    const [topic, log] = await Promise.all([openTopic(), openLog()])
    await log.read(topic, { from: 'now' })
    await topic.produce(json(1))
    await log.events(1)
    await topic.remove()
    await until(() =>
      topic.create().then(
        () => true,
        () => false,
      ),
    )
    await topic.produce(json(2), json(3), json(4))
    expect((await log.events(4)).map(({ data }) => (data as { value: unknown }).value)).toEqual([1, 2, 3, 4])
  })
})

describeKafka('the connection', () => {
  test('a cluster that is away is waited for', async () => {
    const warned = warnings()
    const log = await openLog()
    const running = await log.read({ name: 'any', group: 'g', url: 'kafka://127.0.0.1:1' })
    expect(running.address).toMatch(/^kafka:\/\/127\.0\.0\.1:1 \(not connected: /)
    await until(() => warned.length > 0)
    await running.stop()
  })

  test('a sample comes back as an event', async () => {
    const [topic, log] = await Promise.all([openTopic(), openLog()])
    await log.read(topic)
    const { url, group, name } = topic
    await kafka({ url, group, topics: [name] }).sendSample!(log.bus)
    expect((await log.events(1))[0]!.data).toMatchObject({ value: { sample: true } })
  })
})
