import { randomUUID } from 'node:crypto'
import { expect, onTestFinished, test } from 'vitest'
import { openKafka } from '../../src/drivers/kafka/index.ts'
import { entries } from '../../src/testing/conformance/entries.ts'
import { collect } from '../../src/testing/wait.ts'
import { describeKafka } from '../lib/kafka.ts'
import { openProxy } from '../lib/kafka-topics.ts'

describeKafka('a publish whose answers are lost', () => {
  test('fails as one that may be stored, and is stored once when it is repeated', async () => {
    const proxy = await openProxy()
    const driver = await openKafka({
      url: `kafka://${proxy.bootstrap}/unanswered-${randomUUID()}?partitions=1&timeout=3000`,
      openTimeoutMs: 60_000,
    })
    onTestFinished(() => driver.close())
    const batch = entries(2)
    const lost = proxy.breakNext('Produce', 'after', 1_000_000)
    await expect(driver.publish(batch)).rejects.toMatchObject({ code: 'E_LOG_UNANSWERED', retryable: true })
    // It was repeated until the time was over.
    expect(lost()).toBeGreaterThan(1)
    proxy.heal()
    await driver.publish(batch)
    expect(await collect(driver.read({}))).toHaveLength(2)
  })
})
