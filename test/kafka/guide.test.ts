import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import type { App } from '../../src/runtime/app.ts'
import { start } from '../../src/runtime/start.ts'
import { blocksOf, write } from '../lib/guide.ts'
import { describeKafka } from '../lib/kafka.ts'
import { openTopic } from '../lib/kafka-topics.ts'

describeKafka('docs/guides/kafka-topics.md', () => {
  test('the app bills the orders of a topic in another one', { timeout: 120_000 }, async () => {
    const [orders, invoices] = await Promise.all([
      openTopic({ name: 'shop.orders' }),
      openTopic({ name: 'billing.invoices' }),
    ])
    vi.stubEnv('TIDINGS_KAFKA_URL', orders.url)
    const home = await mkdtemp(join(tmpdir(), 'tidings-guide-'))
    onTestFinished(() => rm(home, { recursive: true, force: true }))
    const page = await readFile(join(import.meta.dirname, '../../docs/guides/kafka-topics.md'), 'utf8')
    for (const block of blocksOf(page)) await write(home, block)
    const { default: app } = (await import(join(home, 'app.ts'))) as { default: App }
    await using running = await start(app, { home, bus: 'sqlite', only: ['agents', 'triggers'] })
    expect(running.addresses).toEqual([orders.url, orders.url])
    await orders.produce({ key: 'A1', value: '{"order":"A1","amount":100}' })
    const [invoice] = await invoices.records(1)
    expect(JSON.parse(String(invoice!.value))).toEqual({ order: 'A1', total: 119 })
    expect(invoice!.headers).toMatchObject({ ce_type: 'order.billed', ce_source: '/agents/biller' })
  })
})
