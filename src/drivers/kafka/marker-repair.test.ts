import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { addPartitionsToTxnV3, endTxnV3, initProducerIdV4, produceV9 } from '@platformatic/kafka'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { describeKafkaServer } from '../../../test/lib/kafka.ts'
import { startKafka, type Kafka } from '../../testing/kafka/start.ts'
import { until } from '../../testing/wait.ts'
import { parseKafkaAddress } from './address.ts'
import { KafkaCluster } from './cluster.ts'
import { LogFollower } from './follower.ts'
import { openIndexFile } from './index-file.ts'
import { openKafka } from './index.ts'
import { newestTransaction, openPartitions, openTransaction, rememberEnd } from './marker-repair.ts'
import { produce } from './produce.ts'
import { stateRecord } from './records.ts'
import { provisionTopics, type LogTopics } from './topics.ts'
import { TransactionalProducer } from './transactional-producer.ts'

const slow = { timeout: 180_000 }

/*
 * The coordinator does not check whether a partition belongs to a transaction here, so that a partition can be in one that its coordinator
 * does not know. What a coordinator leaves behind that lost a partition (decision 0043) is the same for everybody who asks.
 */
const config = { 'transaction.partition.verification.enable': 'false', 'add.partitions.to.txn.retry.backoff.ms': 20 }

describeKafkaServer('a transaction whose marker is missing', () => {
  let kafka: Kafka
  let cluster: KafkaCluster
  let topics: LogTopics

  beforeAll(async () => {
    kafka = await startKafka({ config })
    cluster = new KafkaCluster(parseKafkaAddress(`kafka://${kafka.bootstrap}/torn?partitions=2&timeout=20000`))
    topics = await provisionTopics(cluster, performance.now() + 60_000)
  }, 180_000)
  afterAll(async () => {
    await cluster?.close()
    await kafka?.stop()
  })

  /** A transaction of two partitions; the coordinator knows one of them. */
  async function tear(id: string, isCommitted: boolean): Promise<void> {
    const coordinator = { coordinator: 'transaction', key: id } as const
    const { producerId, producerEpoch } = await cluster.ask(initProducerIdV4.api, coordinator, [id, 60_000, -1n, -1])
    const known = { name: topics.names.state, partitions: [0] }
    const transaction = { transactionalId: id, producerId, producerEpoch, verifyOnly: false, topics: [known] }
    await cluster.ask(addPartitionsToTxnV3.api, coordinator, [[transaction]])
    const records = [0, 1].map(partition => stateRecord(topics.names, partition, `${id}/${partition}`, 'x'))
    const producer = { transactionalId: id, producerId, producerEpoch, sequences: new Map<string, number>() }
    await produce(cluster, produceV9.api, records, producer, id)
    await cluster.ask(endTxnV3.api, coordinator, [id, producerId, producerEpoch, isCommitted])
  }

  async function take(id: string, repairs: boolean): Promise<void> {
    const producer = new TransactionalProducer(cluster, id)
    await producer.init(repairs)
    await producer.close()
  }

  /** What readers see, if nothing holds them back. */
  async function read(keys: readonly string[]): Promise<(string | undefined)[]> {
    const file = openIndexFile(undefined, topics)
    const follower = new LogFollower(cluster, topics.names, file.index)
    try {
      follower.start()
      await follower.freshen()
      return keys.map(key => file.index.state(key)?.value)
    } finally {
      await follower.close()
      file.close()
    }
  }

  test.each([true, false])(
    'ends as the coordinator decided (committed: %s), when the next owner takes over',
    slow,
    async isCommitted => {
      const id = `torn.${randomUUID()}.0`
      await tear(id, isCommitted)
      const newest = await newestTransaction(cluster, id)
      expect(newest).toMatchObject({ isCommitted })
      // The marker of the other one may come a little later.
      const open = [{ topic: topics.names.state, partition: 1 }]
      await until(async () => isDeepStrictEqual(await openPartitions(cluster, newest!.producerId, 'test'), open))
      await take(id, true)
      const value = isCommitted ? 'x' : undefined
      expect(await read([`${id}/0`, `${id}/1`])).toEqual([value, value])
    },
  )

  test('ends so also if the owner dies after it took over, and not at all if nobody knows', slow, async () => {
    const id = `torn.${randomUUID()}.0`
    await tear(id, true)
    const newest = (await newestTransaction(cluster, id))!
    const open = (await openTransaction(cluster, id, newest.producerId, undefined))!
    await take(id, false)
    await expect(take(id, true)).rejects.toMatchObject({
      code: 'E_LOG_UNAVAILABLE',
      message: expect.stringContaining(id),
    })
    await rememberEnd(cluster, id, newest, open)
    await take(id, true)
    expect(await read([`${id}/1`])).toEqual(['x'])
  })

  test('ends also if no process owns its id', slow, async () => {
    const id = `torn.${randomUUID()}.0`
    await tear(id, true)
    const home = await mkdtemp(join(tmpdir(), 'tidings-torn-'))
    // It opens when it has read everything.
    const driver = await openKafka({ url: `kafka://${kafka.bootstrap}/torn?timeout=60000`, home })
    const { survives, notices } = await driver.durability()
    expect(survives).toBe('process')
    expect(notices).toEqual([
      expect.stringContaining('Set add.partitions.to.txn'),
      expect.stringContaining('KAFKA-20734'),
    ])
    await driver.close()
    await rm(home, { recursive: true })
    expect(await read([`${id}/0`, `${id}/1`])).toEqual(['x', 'x'])
  })

  test('the id is new, or its newest transaction is whole: nothing is written', slow, async () => {
    const id = `torn.${randomUUID()}.0`
    await take(id, true)
    const producer = new TransactionalProducer(cluster, id)
    await producer.init()
    await producer.commit({ records: [stateRecord(topics.names, 0, `${id}/0`, 'whole')] })
    await producer.close()
    await take(id, true)
    expect(await newestTransaction(cluster, id)).toMatchObject({ isCommitted: undefined })
    expect(await read([`${id}/0`])).toEqual(['whole'])
  })
})
