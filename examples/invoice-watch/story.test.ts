import { createTransport } from 'nodemailer'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Webhook } from 'standardwebhooks'
import { expect, it, onTestFinished } from 'vitest'
import { app, files, smtp, start, webhook, type CloudEvent, type RunningApp } from '../../src/index.ts'
import { until } from '../../src/testing/wait.ts'
import { orderPlaced } from './events.ts'
import { readers } from './readers.ts'
import { type Timeouts, watch } from './watch.ts'

/* The three triggers as clients use them: a file that is renamed into place, a signed request, a mail. */

const secret = `whsec_${Buffer.from('a secret of the test, long enough').toString('base64')}`

async function startShop(timeouts: Timeouts) {
  const home = await mkdtemp(join(tmpdir(), 'tidings-invoices-'))
  const folder = await mkdtemp(join(tmpdir(), 'tidings-inbox-'))
  const running = await start(
    app({
      name: 'invoice-watch',
      use: [
        watch(timeouts),
        ...readers,
        files('invoices', { folder, match: '*.txt', stable: 20 }),
        webhook({ port: 0, endpoints: { orders: { secret, publishes: [orderPlaced], others: 'ignore' } } }),
        smtp({ port: 0 }),
      ],
    }),
    { home, bus: 'sqlite', only: ['agents', 'tools', 'triggers'] },
  )
  onTestFinished(async () => {
    await running.stop()
    for (const each of [home, folder]) await rm(each, { recursive: true, force: true })
  })
  const at = (scheme: string) => running.addresses.find(address => address.startsWith(scheme))!
  return {
    running,
    async orders(order: string, total: number) {
      const [id, now] = [`order-${order}`, new Date()]
      const body = JSON.stringify({ type: 'order.placed', order, supplier: 'Flour & Co', total })
      const headers = {
        'content-type': 'application/json',
        'webhook-id': id,
        'webhook-timestamp': String(Math.floor(now.getTime() / 1_000)),
        'webhook-signature': new Webhook(secret).sign(id, now, body),
      }
      const answer = await fetch(`${at('http')}/orders`, { method: 'POST', headers, body })
      expect(answer.status).toBe(202)
    },
    async drops(invoice: string, order: string, total: number) {
      const hidden = join(folder, `.${invoice}`)
      await writeFile(hidden, `Invoice: ${invoice}\nOrder: ${order}\nTotal: ${total}\n`)
      await rename(hidden, join(folder, `${invoice}.txt`))
    },
    async pays(order: string, amount: number) {
      const { hostname, port } = new URL(at('smtp'))
      await createTransport({ host: hostname, port: Number(port), ignoreTLS: true }).sendMail({
        from: 'bank@example.org',
        to: 'invoices@example.net',
        subject: 'Payment confirmation',
        text: `Order: ${order}\nPaid: ${amount}\n`,
      })
    },
  }
}

const dataOf = async ({ bus }: RunningApp, type: string) => {
  const events: CloudEvent[] = []
  for await (const { event } of bus.read({ filter: [{ types: [type] }] })) events.push(event)
  return events.map(({ data }) => data)
}

it('settles orders that arrive by three triggers, in any sequence', async () => {
  const shop = await startShop({ papers: '1h', payment: '1h' })
  await shop.pays('PO-1', 40)
  await shop.drops('INV-1', 'PO-1', 40)
  await shop.orders('PO-1', 40)
  await shop.orders('PO-2', 7)
  await shop.drops('INV-2', 'PO-2', 70)
  await until(async () => (await dataOf(shop.running, 'invoice.settled')).length === 1, { within: 10_000 })
  await until(async () => (await dataOf(shop.running, 'invoice.disputed')).length === 1, { within: 10_000 })
  expect(await dataOf(shop.running, 'invoice.settled')).toEqual([
    { order: 'PO-1', invoice: 'INV-1', by: 'bank@example.org' },
  ])
  expect(await dataOf(shop.running, 'invoice.disputed')).toEqual([{ order: 'PO-2', ordered: 7, invoiced: 70 }])
  expect(await dataOf(shop.running, 'payment.chased')).toEqual([])
})

it('tells which paper is missing, chases a payment three times, and settles what is paid late', async () => {
  const shop = await startShop({ papers: '1s', payment: '300ms' })
  await shop.orders('PO-3', 5)
  await shop.orders('PO-4', 6)
  await shop.drops('INV-4', 'PO-4', 6)
  await shop.orders('PO-5', 9)
  await shop.drops('INV-5', 'PO-5', 9)
  const chased = async (order: string) =>
    (await dataOf(shop.running, 'payment.chased')).filter(data => (data as { order: string }).order === order).length
  await until(async () => (await chased('PO-5')) >= 1, { within: 10_000 })
  await shop.pays('PO-5', 9)
  await until(async () => (await dataOf(shop.running, 'invoice.settled')).length === 1, { within: 10_000 })
  await until(async () => (await dataOf(shop.running, 'agent.task.failed')).length === 2, { within: 10_000 })
  expect(await dataOf(shop.running, 'papers.missing')).toEqual([
    { order: { order: 'PO-3', supplier: 'Flour & Co', total: 5 } },
  ])
  expect(await chased('PO-4')).toBe(3)
  expect(await chased('PO-5')).toBeLessThan(3)
  expect(await dataOf(shop.running, 'agent.task.failed')).toContainEqual(
    expect.objectContaining({
      error: expect.objectContaining({ message: 'INV-4 was chased three times and is not paid' }),
    }),
  )
})
