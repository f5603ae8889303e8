import { expect, test } from 'vitest'
import { z } from 'zod'
import { curl, openTrigger, secrets, signedBy } from '../../../test/lib/webhook.ts'
import { event } from '../../event.ts'

const form = { 'content-type': 'application/x-www-form-urlencoded' }

test("GitHub's form is the JSON in its payload, for a type and without one; the signature is over the form", async () => {
  const push = event('push', z.object({ ref: z.string() }))
  const { url, stored, blob } = await openTrigger({
    endpoints: { code: { scheme: 'github', secret: secrets.github, publishes: [push] } },
  })
  const post = async (body: string, headers = {}, id = 'one') =>
    curl(`${url}/code`, body, { ...(await signedBy.github(body, { id })), ...form, ...headers })
  const body = `payload=${encodeURIComponent('{"ref":"refs/heads/main","text":"a+b & c"}')}`
  expect((await post(body)).status).toBe(202)
  expect((await post(body, { 'x-github-event': 'ping' }, 'two')).status).toBe(202)
  expect((await post('payload=no+json')).status).toBe(400)
  expect((await post('ref=x', { 'x-github-event': 'ping' })).status).toBe(202)
  const forged = await curl(`${url}/code`, `${body}&x=1`, { ...(await signedBy.github(body)), ...form })
  expect(forged.status).toBe(401)
  const [typed, ping, other] = await stored()
  expect(typed).toMatchObject({ type: 'push', data: { ref: 'refs/heads/main' } })
  expect(ping!.data.body).toEqual({ ref: 'refs/heads/main', text: 'a+b & c' })
  expect(other!.data.body).toEqual({ ref: 'x' })
  expect((await blob(typed!.subject!)).toString()).toBe(body)
})

test('other forms keep a field that is called payload', async () => {
  const { url, stored } = await openTrigger({ endpoints: { it: { scheme: 'none' } } })
  expect((await curl(`${url}/it`, 'payload=%7B%7D', form)).status).toBe(202)
  expect((await stored())[0]!.data.body).toEqual({ payload: '{}' })
})

/** As Svix calls the headers of the standard. */
const svix = (headers: Record<string, string>) =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.replace('webhook-', 'svix-'), value]))

test('headers may have the names of Svix, not a mixture, and its id identifies a request', async () => {
  const { url, stored } = await openTrigger({ endpoints: { orders: { secret: secrets.standard } } })
  const body = '{"type":"order.paid"}'
  const signed = await signedBy.standard(body)
  const post = (headers: Record<string, string>) => curl(`${url}/orders`, body, headers)
  const first = await post(svix(signed))
  expect(first.status).toBe(202)
  expect((await post(svix(signed))).body).toMatchObject({ id: first.body.id, duplicate: true })
  expect((await post(signed)).body).toMatchObject({ id: first.body.id, duplicate: true })
  for (const mixed of [
    { ...svix(signed), 'webhook-id': 'msg_2' },
    { ...svix(signed), 'svix-id': 'msg_2' },
    { 'svix-id': signed['webhook-id']!, 'webhook-timestamp': signed['webhook-timestamp']!, 'webhook-signature': signed['webhook-signature']! },
  ]) // biome-ignore format: one list
    expect(await post(mixed)).toMatchObject({ status: 401, body: { error: { code: 'E_SIGNATURE_INVALID' } } })
  const [only, ...others] = await stored()
  expect(others).toEqual([])
  expect(only!.data.headers).not.toHaveProperty('svix-signature')
})

test('without a signature, requests with an empty id stay two', async () => {
  const { url, stored } = await openTrigger({ endpoints: { it: { scheme: 'none' } } })
  const headers = { 'content-type': 'application/json', 'webhook-id': '' }
  for (const _ of [1, 2]) expect((await fetch(`${url}/it`, { method: 'POST', body: '{}', headers })).status).toBe(202)
  expect(await stored()).toHaveLength(2)
})
