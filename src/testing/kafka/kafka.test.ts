import { existsSync } from 'node:fs'
import { Admin } from '@platformatic/kafka'
import { expect, onTestFinished, test } from 'vitest'
import { describeKafkaServer } from '../../../test/lib/kafka.ts'
import { kafkaInfo } from './info.ts'
import { startKafka } from './start.ts'

function admin(bootstrap: string) {
  const client = new Admin({ clientId: 'test', bootstrapBrokers: bootstrap.split(','), retries: 50, retryDelay: 100 })
  onTestFinished(() => client.close())
  return client
}

describeKafkaServer('a broker of a test', () => {
  test('survives kill -9 with its data, hangs while it is paused, and leaves nothing behind', {
    timeout: 180_000,
  }, async () => {
    const kafka = await startKafka({ config: { 'log.retention.hours': 5 } })
    await using _ = kafka
    const { clusterId } = await kafkaInfo('127.0.0.1', kafka.port)
    await admin(kafka.bootstrap).createTopics({ topics: ['kept'], partitions: 2, replicas: 1 })
    await kafka.kill()
    expect(kafka.running).toBe(false)
    await kafka.restart()
    expect(await kafkaInfo('127.0.0.1', kafka.port)).toEqual({ clusterId, brokers: [1] })
    const again = admin(kafka.bootstrap)
    expect(await again.listTopics()).toContain('kept')
    await kafka.pause()
    let isAnswered = false
    const asked = again.listTopics().then(() => (isAnswered = true))
    expect(isAnswered).toBe(false)
    kafka.resume()
    await asked
    await expect(startKafka({ port: kafka.port })).rejects.toMatchObject({ code: 'E_PORT_IN_USE' })
    await kafka.stop()
    expect(existsSync(kafka.dataDir)).toBe(false)
  })
})
