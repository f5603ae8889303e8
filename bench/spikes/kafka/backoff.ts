import { parseKafkaAddress } from '../../../src/drivers/kafka/address.ts'
import { BatchedWriter } from '../../../src/drivers/kafka/batched-writer.ts'
import { KafkaCluster } from '../../../src/drivers/kafka/cluster.ts'
import { stateRecord } from '../../../src/drivers/kafka/records.ts'
import { provisionTopics } from '../../../src/drivers/kafka/topics.ts'
import { TransactionalProducer } from '../../../src/drivers/kafka/transactional-producer.ts'
import { startKafka } from '../../../src/testing/kafka/start.ts'

/*
 * What the broker's add.partitions.to.txn.retry.backoff.ms costs the driver: one owner, a transaction of two partitions.
 * `node bench/spikes/kafka/backoff.ts`: its default of 20 and 1 in turn, twice.
 */

async function measure(backoffMs: number): Promise<void> {
  await using kafka = await startKafka({ config: { 'add.partitions.to.txn.retry.backoff.ms': backoffMs } })
  const cluster = new KafkaCluster(parseKafkaAddress(`kafka://${kafka.bootstrap}/spike?partitions=2&timeout=60000`))
  const { names } = await provisionTopics(cluster, performance.now() + 60_000)
  const producer = new TransactionalProducer(cluster, 'spike.group.0')
  await producer.init()
  const writer = new BatchedWriter(producer)
  let next = 0
  const commit = async () => {
    const began = performance.now()
    const key = `key/${next++}`
    await writer.write([0, 1].map(partition => stateRecord(names, partition, key, 'x')))
    return performance.now() - began
  }
  for (let i = 0; i < 50; i++) await commit()
  const waits: number[] = []
  for (let i = 0; i < 150; i++) waits.push(await commit())
  waits.sort((a, b) => a - b)
  const began = performance.now()
  const loop = async () => {
    for (let i = 0; i < 60; i++) await commit()
  }
  await Promise.all(Array.from({ length: 32 }, loop))
  const rate = (32 * 60 * 1_000) / (performance.now() - began)
  console.log(
    `${backoffMs} ms: one at a time p50 ${waits[75]!.toFixed(1)} ms, p99 ${waits[148]!.toFixed(1)} ms; 32 at once ${rate.toFixed(0)} a second`,
  )
  await producer.close()
  await cluster.close()
}

for (const backoffMs of [20, 1, 20, 1]) await measure(backoffMs)
