import { expect, test } from 'vitest'
import { z } from 'zod'
import { curl, openTrigger, secrets, signedBy } from '../../../test/lib/webhook.ts'
import { event } from '../../event.ts'
import { webhook } from './webhook.ts'
import type { WebhookEndpoint } from './endpoint.ts'

const invoice = z
  .object({ data: z.object({ object: z.object({ total: z.number() }) }) })
  .transform(({ data }) => data.object)
const paid = event('invoice.paid', invoice)
const push = event('push', z.object({ ref: z.string() }))

async function open(endpoint: WebhookEndpoint) {
  const trigger = await openTrigger({ endpoints: { it: endpoint } })
  const scheme = endpoint.scheme ?? 'standard'
  const send = async (body: string, headers: Record<string, string> = {}) => {
    const signed = scheme === 'none' ? {} : await signedBy[scheme](body)
    return curl(`${trigger.url}/it`, body, { ...signed, ...headers })
  }
  return { ...trigger, send }
}

const body = (type: string, total: unknown) => JSON.stringify({ id: `evt_${type}`, type, data: { object: { total } } })

test('the type of the body picks the event, and its schema makes the data', async () => {
  const { send, stored, blob } = await open({ scheme: 'stripe', secret: secrets.stripe, publishes: [paid] })
  const { body: answer } = await send(body('invoice.paid', 12))
  const [found, ...others] = await stored()
  expect(others).toEqual([])
  expect(found).toMatchObject({ id: answer.id, type: 'invoice.paid', source: '/triggers/webhook', data: { total: 12 } })
  expect(Object.keys(found!.data)).toEqual(['total'])
  expect((await blob(found!.subject!)).toString()).toBe(body('invoice.paid', 12))
})

test('what does not fit is refused with 422 and a reason, and nothing is stored; what has no mapping is kept', async () => {
  const { send, stored, bus } = await open({ secret: secrets.standard, publishes: [paid] })
  for (const total of ['12', null, undefined]) {
    const refused = await send(body('invoice.paid', total))
    expect(refused).toMatchObject({ status: 422, body: { error: { code: 'E_REQUEST_INVALID' } } })
    expect(refused.body.error!.message).toMatch(/^the body does not match invoice.paid: data.object.total: /)
  }
  expect(await bus.driver.head()).toBe('0')
  for (const other of [body('invoice.voided', 1), '[]', '"text"', '{"type":{}}', '{"type":"__proto__"}'])
    expect((await send(other)).status).toBe(202)
  expect((await stored()).map(({ type }) => type)).toEqual(Array(5).fill('webhook.received'))
})

test('what has no mapping may be ignored: 204, and nothing is stored', async () => {
  const { send, stored } = await open({ secret: secrets.standard, publishes: [paid], others: 'ignore' })
  expect(await send(body('invoice.voided', 1))).toMatchObject({ status: 204, body: {} })
  expect(await stored()).toEqual([])
  expect((await send(body('invoice.paid', 1))).status).toBe(202)
  expect(await stored()).toHaveLength(1)
})

test('GitHub names the type in a header', async () => {
  const { send, stored } = await open({ scheme: 'github', secret: secrets.github, publishes: [push] })
  expect((await send('{"ref":"refs/heads/main"}')).status).toBe(202)
  expect((await send('{"zen":"x"}')).status).toBe(422)
  expect((await send('{"zen":"x"}', { 'x-github-event': 'ping' })).status).toBe(202)
  expect((await stored()).map(({ type }) => type)).toEqual(['push', 'webhook.received'])
})

test('the app may choose the type by a function', async () => {
  const { send, stored } = await open({
    scheme: 'none',
    publishes: [paid, push],
    type: ({ headers, body }) => headers['x-kind'] ?? (body as { kind?: string }).kind,
  })
  expect((await send('{"ref":"a"}', { 'x-kind': 'push' })).status).toBe(202)
  expect((await send('{"ref":"a","kind":"push"}')).status).toBe(202)
  expect((await send('ref=a&kind=push', { 'content-type': 'application/x-www-form-urlencoded' })).status).toBe(202)
  expect((await stored()).map(({ type, data }) => [type, data])).toEqual(Array(3).fill(['push', { ref: 'a' }]))
})

test('a mapping that fails is a fault of the worker: 500, so that the source retries', async () => {
  const { send, stored } = await open({
    scheme: 'none',
    publishes: [push],
    type: () => {
      throw new Error('hunter2 of the app')
    },
  })
  const warned = new Promise<Error>(resolve => process.once('warning', resolve))
  const refused = await send('{"ref":"a"}')
  expect(refused).toMatchObject({ status: 500, body: { error: { code: 'E_INTERNAL' } } })
  expect(JSON.stringify(refused)).not.toContain('hunter2')
  expect((await warned).message).toBe('hunter2 of the app')
  expect(await stored()).toEqual([])
})

test('an endpoint with types takes nothing but JSON and forms', async () => {
  const { send, stored } = await open({ secret: secrets.standard, publishes: [paid] })
  expect(await send(body('invoice.paid', 1), { 'content-type': 'text/plain' })).toMatchObject({
    status: 415,
    body: { error: { message: expect.stringContaining('application/json') } },
  })
  expect(await stored()).toEqual([])
})

test('Stripe identifies the request in the body, GitHub in a header: without that it is refused', async () => {
  const stripe = await open({ scheme: 'stripe', secret: secrets.stripe })
  for (const nameless of ['{}', '{"id":""}', '{"id":7}', '[]']) expect((await stripe.send(nameless)).status).toBe(400)
  const github = await open({ scheme: 'github', secret: secrets.github })
  expect((await github.send('{}', { 'x-github-delivery': '' })).status).toBe(400)
  expect([...(await stripe.stored()), ...(await github.stored())]).toEqual([])
})

test('a trigger lists the types that it publishes', () => {
  const endpoints = {
    a: { secret: 'x', publishes: [paid, push], others: 'ignore' as const },
    b: { secret: 'x', publishes: [paid] },
    c: { secret: 'x' },
  }
  expect(webhook({ endpoints }).types).toEqual(['invoice.paid', 'push', 'webhook.received'])
})
