import { Admin } from '@platformatic/kafka'
import { randomUUIDv7 } from 'node:crypto'
import { startKafka } from '../../src/testing/kafka/start.ts'

export interface KafkaBroker {
  readonly bootstrap: string
  /** Its settings, as text. */
  readonly about: string
}

/** `kafka` starts a broker with an empty store; otherwise the address of a running one. `backoffMs`: see docs/kafka.md. */
export async function withKafka<T>(
  bus: string,
  backoffMs: number,
  work: (broker: KafkaBroker) => Promise<T>,
): Promise<T> {
  if (bus !== 'kafka') {
    const bootstrap = bus.replace(/^kafka:\/\/([^/?]+).*$/, '$1')
    return work({ bootstrap, about: 'a Kafka broker with the settings that it has' })
  }
  const config = { 'add.partitions.to.txn.retry.backoff.ms': backoffMs }
  await using kafka = await startKafka({ config, isOptimized: true, heap: '512m' })
  return await work({
    bootstrap: kafka.bootstrap,
    about: `one Kafka broker, add.partitions.to.txn.retry.backoff.ms ${backoffMs}`,
  })
}

/** Runs `work` with an empty log, as the value of `TIDINGS_BUS`, and removes it. */
export async function withKafkaLog<T>({ bootstrap }: KafkaBroker, work: (bus: string) => Promise<T>): Promise<T> {
  const log = `bench-${randomUUIDv7()}`
  try {
    return await work(`kafka://${bootstrap}/${log}`)
  } finally {
    const admin = new Admin({ clientId: 'bench', bootstrapBrokers: [bootstrap] })
    const topics = (await admin.listTopics()).filter(topic => topic.startsWith(`${log}.`))
    await admin.deleteTopics({ topics })
    await admin.close()
  }
}
