import { Admin } from '@platformatic/kafka'
import { expect, onTestFinished, test } from 'vitest'
import { describeKafka, kafkaBootstrap } from './kafka.ts'
import { startKafkaProxy } from './kafka-proxy.ts'

const topic = () => `proxy-${crypto.randomUUID()}`

async function admin(bootstrap: string, retries: number) {
  const client = new Admin({ clientId: 'test', bootstrapBrokers: [bootstrap], retries, retryDelay: 10 })
  onTestFinished(() => client.close())
  return client
}

describeKafka('the proxy in front of Kafka', () => {
  test('keeps its clients, and loses the connection before or after the broker has a request', {
    timeout: 180_000,
  }, async () => {
    const bootstrap = await kafkaBootstrap()
    await using proxy = await startKafkaProxy(bootstrap)
    const [through, direct] = [await admin(proxy.bootstrap, 0), await admin(bootstrap, 20)]
    const metadata = await through.metadata({ topics: [] })
    expect([...metadata.brokers.values()].map(({ host, port }) => `${host}:${port}`)).toEqual([proxy.bootstrap])

    const [lost, stored] = [topic(), topic()]
    const before = proxy.breakNext('CreateTopics', 'before')
    await expect(through.createTopics({ topics: [lost], partitions: 1, replicas: 1 })).rejects.toThrow()
    const after = proxy.breakNext('CreateTopics', 'after')
    await expect(through.createTopics({ topics: [stored], partitions: 1, replicas: 1 })).rejects.toThrow()
    expect([before(), after()]).toEqual([1, 1])
    const topics = await direct.listTopics()
    expect([topics.includes(lost), topics.includes(stored)]).toEqual([false, true])

    await through.createTopics({ topics: [lost], partitions: 1, replicas: 1 })
    expect(proxy.count('CreateTopics')).toBe(3)
  })
})
