import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Admin, compatibilityPartitioner, Consumer, Producer } from '@platformatic/kafka'
import { onTestFinished } from 'vitest'
import { Bus } from '../../src/bus/bus.ts'
import type { CloudEvent } from '../../src/event.ts'
import { CommitFailures } from '../../src/testing/sqlite/commit-failures.ts'
import { openFaultySqlite } from '../../src/testing/sqlite/open-faulty.ts'
import { collect, until } from '../../src/testing/wait.ts'
import { kafkaSink, type KafkaSinkOptions } from '../../src/sinks/kafka/kafka-sink.ts'
import { kafka, type KafkaTriggerOptions } from '../../src/triggers/kafka/kafka.ts'
import { kafkaBootstrap } from './kafka.ts'
import { startKafkaProxy } from './kafka-proxy.ts'

/** A record that a test produces. */
export interface Produced {
  key?: string
  /** Null for a tombstone. */
  value: string | Buffer | null
  headers?: Readonly<Record<string, string>>
  partition?: number
}

interface TopicOptions {
  /** Default: one that no other test uses. */
  readonly name?: string
  readonly partitions?: number
  readonly configs?: Readonly<Record<string, string>>
}

/** A topic, as another program sees it. */
export async function openTopic({ name = `topic-${randomUUID()}`, partitions = 1, configs = {} }: TopicOptions = {}) {
  const bootstrap = await kafkaBootstrap()
  const client = { bootstrapBrokers: [bootstrap], retries: 20, retryDelay: 100 }
  const admin = new Admin({ ...client, clientId: 'test-admin' })
  const producer = new Producer({ ...client, clientId: 'test-producer', idempotent: true })
  onTestFinished(async () => {
    await producer.close(true)
    await admin.close()
  })
  const create = async () => {
    const list = Object.entries(configs).map(([name, value]) => ({ name, value }))
    await admin.createTopics({ topics: [name], partitions, replicas: 1, configs: list })
    await until(async () => (await admin.metadata({ topics: [name], forceUpdate: true })).topics.get(name))
  }
  await create()
  return {
    name,
    group: `group-${name}`,
    url: `kafka://${bootstrap}`,
    admin,
    produce: async (...records: Produced[]) => {
      const messages = records.map(({ key, value, headers = {}, partition }) => ({
        topic: name,
        ...(key !== undefined && { key: Buffer.from(key) }),
        ...(value !== null && { value: Buffer.from(value) }),
        ...(partition !== undefined && { partition }),
        headers: new Map(Object.entries(headers).map(([name, text]) => [Buffer.from(name), Buffer.from(text)])),
      }))
      await producer.send({ messages, partitioner: compatibilityPartitioner })
    },
    /** The committed offset of each partition. */
    committed: async () => {
      const groups = await admin.listConsumerGroupOffsets({ groups: [{ groupId: `group-${name}` }] })
      const found = groups[0]!.topics.find(topic => topic.name === name)?.partitions ?? []
      return found.toSorted((a, b) => a.partitionIndex - b.partitionIndex).map(each => Number(each.committedOffset))
    },
    /** How many records there are, on one partition without transactions. */
    end: async () => {
      const [found] = await admin.listOffsets({
        topics: [{ name, partitions: [{ partitionIndex: 0, timestamp: -1n }] }],
      })
      return Number(found!.partitions[0]!.offset)
    },
    /** All records, when there are so many. */
    records: async (count: number) => {
      const consumer = new Consumer({ ...client, clientId: 'test-consumer', groupId: randomUUID() })
      const stream = await consumer.consume({ topics: [name], mode: 'earliest', autocommit: false, maxWaitTime: 200 })
      const found: ReceivedRecord[] = []
      for await (const { key, value, headers, partition } of stream) {
        const texts = [...headers].map(([name, text]) => [String(name), String(text)] as const)
        found.push({ key: key && String(key), value, partition, headers: Object.fromEntries(texts) })
        if (found.length >= count) break
      }
      await consumer.close(true)
      return found
    },
    create,
    remove: () => admin.deleteTopics({ topics: [name] }),
  }
}

export interface ReceivedRecord {
  readonly key: string | undefined
  readonly value: Buffer
  readonly partition: number
  readonly headers: Readonly<Record<string, string>>
}

/** A proxy in front of the broker, which loses requests and connections. */
export async function openProxy() {
  const proxy = await startKafkaProxy(await kafkaBootstrap())
  onTestFinished(() => proxy.stop())
  return proxy
}

/** An embedded log, with triggers and sinks on it; all of it is gone after the test. */
export async function openLog() {
  const home = await mkdtemp(join(tmpdir(), 'tidings-kafka-'))
  const commits = new CommitFailures()
  const bus = new Bus(await openFaultySqlite({ home }, { commits }))
  onTestFinished(async () => {
    await bus.driver.close()
    await rm(home, { recursive: true, force: true })
  })
  const stored = async (): Promise<CloudEvent[]> =>
    Promise.all((await collect(bus.read({}))).map(({ event }) => bus.resolve(event)))
  return {
    bus,
    commits,
    stored,
    /** The events, when there are so many. */
    events: async (count: number) => {
      await until(async () => Number(await bus.head()) >= count)
      return stored()
    },
    parked: async () => collect(bus.listDeferred()),
    read: async (topic: { name: string; group: string; url: string }, options: Partial<KafkaTriggerOptions> = {}) => {
      const { url, group, name } = topic
      const running = await kafka({ url, group, from: 'beginning', topics: [name], ...options }).start(bus)
      onTestFinished(() => running.stop())
      return running
    },
    write: async (options: KafkaSinkOptions) => {
      const running = await kafkaSink(options).start(bus)
      onTestFinished(() => running.stop())
      return running
    },
  }
}
