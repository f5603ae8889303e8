import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Webhook } from 'standardwebhooks'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { event } from '../../event.ts'
import { curl, now, openTrigger, secrets, signedBy } from '../../../test/lib/webhook.ts'
import { freePort } from '../../testing/ports.ts'
import { webhook } from './webhook.ts'
import type { WebhookEndpoint } from './endpoint.ts'

const schemes = ['standard', 'github', 'stripe'] as const
const each: Record<string, WebhookEndpoint> = {
  standard: { secret: secrets.standard },
  github: { scheme: 'github', secret: secrets.github },
  stripe: { scheme: 'stripe', secret: secrets.stripe },
}
const order = JSON.stringify({ id: 'evt_1', type: 'order.paid', data: { total: 12.5, by: 'Änn 漢字' } })

test.each(schemes)('%s: signed by openssl and sent by curl, it is on the log when it is answered', async scheme => {
  const { url, stored, blob } = await openTrigger({ endpoints: each })
  const { status, body } = await curl(`${url}/${scheme}`, order, await signedBy[scheme](order))
  expect(status).toBe(202)
  const [found, ...others] = await stored()
  expect(others).toEqual([])
  expect(found).toMatchObject({
    id: body.id,
    correlationid: body.correlationid,
    type: 'webhook.received',
    source: '/triggers/webhook',
    tenant: 'default',
    hops: 0,
    data: { endpoint: scheme, body: JSON.parse(order), raw: { bytes: Buffer.byteLength(order) } },
  })
  expect(found!.id).toMatch(new RegExp(`^webhook:${scheme}:[0-9a-f]{64}$`))
  expect(found!.subject).toBe(found!.data.raw.blob)
  expect((await blob(found!.data.raw.blob)).toString()).toBe(order)
  expect(found!.data.headers).toMatchObject({ 'content-type': 'application/json' })
  expect(Object.keys(found!.data.headers).filter(name => name.includes('signature'))).toEqual([])
})

test.each(schemes)(
  '%s: what is not signed with the secret, or not as it is, is refused and not stored',
  async scheme => {
    const { url, stored } = await openTrigger({ endpoints: each })
    const good = await signedBy[scheme](order)
    const other = scheme === 'standard' ? `whsec_${Buffer.alloc(24, 1).toString('base64')}` : 'another'
    const forged: [string, Record<string, string>][] = [
      [`${order} `, good],
      [order, {}],
      [order, await signedBy[scheme](order, { secret: other })],
      ...Object.keys(good)
        .filter(name => name.includes('signature'))
        .flatMap((name): [string, Record<string, string>][] => [
          [order, { ...good, [name]: '' }],
          [order, { ...good, [name]: good[name]!.slice(0, -1) }],
          [order, { ...good, [name]: 'sha256=, v1, v1, t=1,v1=' }],
        ]),
    ]
    for (const [body, headers] of forged)
      expect(await curl(`${url}/${scheme}`, body, headers)).toMatchObject({
        status: 401,
        body: { error: { code: 'E_SIGNATURE_INVALID' } },
      })
    expect(await stored()).toEqual([])
  },
)

test('the id and the time are signed too, and an id with a dot is not taken for another one', async () => {
  const { url, stored } = await openTrigger({ endpoints: each })
  const good = await signedBy.standard(order)
  const at = now()
  // The same text is signed for id a, time, body "TIME.…" and for id a.TIME, TIME, body "…".
  const moved = await signedBy.standard(`${at}.${order}`, { id: 'a', at })
  for (const headers of [
    { ...good, 'webhook-id': 'msg_2' },
    { ...good, 'webhook-timestamp': `${at + 1}` },
    { ...good, 'webhook-timestamp': '' },
    { ...moved, 'webhook-id': `a.${at}` },
  ])
    expect((await curl(`${url}/standard`, order, headers)).status).toBe(401)
  expect(await stored()).toEqual([])
})

test('the library of Standard Webhooks signs what is taken', async () => {
  const { url, stored } = await openTrigger({ endpoints: each })
  const at = new Date()
  const headers = {
    'content-type': 'application/json',
    'webhook-id': 'msg_1',
    'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
    'webhook-signature': new Webhook(secrets.standard).sign('msg_1', at, order),
  }
  expect((await fetch(`${url}/standard`, { method: 'POST', headers, body: order })).status).toBe(202)
  expect(await stored()).toHaveLength(1)
})

test('while a secret is replaced both are accepted, and a source may sign with both', async () => {
  const next = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
  const { url } = await openTrigger({
    endpoints: { orders: { secret: [secrets.standard, next] }, after: { secret: next } },
  })
  // One request has one time.
  const at = now()
  const [old, young] = [await signedBy.standard(order, { at }), await signedBy.standard(order, { at, secret: next })]
  const both = { ...old, 'webhook-signature': `v1a,xyz ${old['webhook-signature']} ${young['webhook-signature']}` }
  for (const headers of [old, young, both]) expect((await curl(`${url}/orders`, order, headers)).status).toBe(202)
  const after = []
  for (const headers of [old, young, both]) after.push((await curl(`${url}/after`, order, headers)).status)
  expect(after).toEqual([401, 202, 202])
})

test.each(['standard', 'stripe'] as const)('%s: what was signed long ago, or ahead, is refused', async scheme => {
  const { url, stored } = await openTrigger({ endpoints: { ...each, narrow: { ...each[scheme]!, tolerance: '10s' } } })
  const send = async (endpoint: string, seconds: number) =>
    curl(`${url}/${endpoint}`, order, await signedBy[scheme](order, { at: now() + seconds }))
  for (const [endpoint, seconds] of [
    // Ahead by far more than is taken: a machine that is busy lets seconds pass before it is sent.
    [scheme, -310],
    [scheme, 400],
    ['narrow', -20],
    ['narrow', 100],
  ] as const) {
    const { status, body } = await send(endpoint, seconds)
    expect(status).toBe(401)
    expect(body.error!.message).toMatch(
      seconds < 0 ? /seconds ago, but the tolerance/ : /seconds in the future, but the tolerance/,
    )
  }
  expect(await stored()).toEqual([])
  for (const seconds of [-200, 290]) expect((await send(scheme, seconds)).status).toBe(202)
})

test('the same again is inert, also after a restart; another body under the same id is another event', async () => {
  const first = await openTrigger({ endpoints: each })
  const again = async (url: string, body = order) => {
    const replies = []
    for (const scheme of schemes)
      replies.push((await curl(`${url}/${scheme}`, body, await signedBy[scheme](body))).body)
    return replies
  }
  const taken = await again(first.url)
  const inert = taken.map(reply => ({ ...reply, duplicate: true }))
  expect(await again(first.url)).toEqual(inert)
  await first.close()
  const second = await openTrigger({ endpoints: each }, first.home)
  expect(await again(second.url)).toEqual(inert)
  expect(await second.stored()).toHaveLength(3)
  const others = await again(second.url, order.replace('12.5', '13'))
  expect(others.filter(({ duplicate }) => duplicate)).toEqual([])
  expect(await second.stored()).toHaveLength(6)
})

test('a copy and a retry of a request have the same correlation on a log that knows nothing of the first', async () => {
  const headers = await signedBy.standard(order)
  const replies = []
  for (const _ of [1, 2])
    replies.push((await curl(`${(await openTrigger({ endpoints: each })).url}/standard`, order, headers)).body)
  expect(replies[1]).toEqual(replies[0])
  const later = await signedBy.standard(order, { at: now() + 5 })
  const retried = await curl(`${(await openTrigger({ endpoints: each })).url}/standard`, order, later)
  expect(retried.body).toEqual(replies[0])
})

test('without signatures: only where it is written out, never from a page, and alike is not the same', async () => {
  const { url, stored } = await openTrigger({ endpoints: { open: { scheme: 'none' } } })
  expect((await curl(`${url}/open`, order, { origin: 'http://example.com' })).status).toBe(403)
  for (const _ of [1, 2]) expect((await curl(`${url}/open`, order, {})).status).toBe(202)
  for (const _ of [1, 2]) expect((await curl(`${url}/open`, order, { 'webhook-id': 'a' })).status).toBe(202)
  expect(await stored()).toHaveLength(3)
})

test('an endpoint without its secret accepts nothing and says so, and the others accept', async () => {
  const bad: Record<string, WebhookEndpoint> = {
    none: {},
    unset: { secret: undefined },
    empty: { secret: '' },
    list: { secret: [] },
    half: { secret: [secrets.standard, undefined] },
    second: { secret: [secrets.standard, ''] },
    text: { secret: 'whsec_not-base64-at-all' },
    short: { secret: `whsec_${Buffer.from('too short').toString('base64')}` },
    blank: { scheme: 'github', secret: ' \n' },
    stripe: { scheme: 'stripe', secret: undefined },
    unsigned: { scheme: 'none', secret: 'contradiction' },
  }
  const { url, running, stored } = await openTrigger({ endpoints: { ...bad, orders: { secret: secrets.standard } } })
  expect(running.warnings).toHaveLength(Object.keys(bad).length)
  const signed = await signedBy.standard(order)
  for (const [name, { secret }] of Object.entries(bad)) {
    const warning = running.warnings!.find(each => each.includes(`"${name}"`))!
    expect(warning).toContain(`Until then POST /hooks/${name} answers 503.`)
    const reply = await curl(`${url}/${name}`, order, signed)
    expect(reply).toMatchObject({ status: 503, body: { error: { code: 'E_SETTING_INVALID' } } })
    for (const given of [secret].flat())
      if (given?.trim()) expect(warning + JSON.stringify(reply)).not.toContain(given.replace('whsec_', ''))
  }
  expect(await stored()).toEqual([])
  expect((await curl(`${url}/orders`, order, signed)).status).toBe(202)
})

test('an app file that cannot be is refused where it is loaded', () => {
  const bad: Record<string, WebhookEndpoint>[] = [
    {},
    { 'Not a name': each.standard! },
    { '../x': each.standard! },
    { x: { scheme: 'md5' as never, secret: 'x' } },
    { x: { scheme: 'toString' as never, secret: 'x' } },
    { x: { secret: 'x', others: 'ignore' } },
    { x: { secret: 'x', publishes: [event('task.turn', z.any())] } },
    { x: { secret: 'x', publishes: [event('tool.result', z.any())] } },
  ]
  for (const endpoints of bad)
    expect(() => webhook({ endpoints })).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/^E_(APP|EVENT)_INVALID$/) }),
    )
})

test('no signature, secret, cookie or token is anywhere on the disk', async () => {
  const { url, home, close, stored } = await openTrigger({ endpoints: each })
  const hidden = ['cookie', 'authorization', 'x-api-key', 'x-gitlab-token', 'proxy-authorization', 'x-slack-signature']
  const extra = Object.fromEntries(hidden.map((name, i) => [name, `hidden-${i}-value`]))
  const signatures: string[] = []
  for (const scheme of schemes) {
    const signed = await signedBy[scheme](order)
    signatures.push(Object.entries(signed).find(([name]) => name.includes('signature'))![1])
    expect((await curl(`${url}/${scheme}`, order, { ...signed, ...extra, 'x-kept': 'seen' })).status).toBe(202)
  }
  for (const { data } of await stored()) expect(data.headers['x-kept']).toBe('seen')
  await close()
  const files = (await readdir(home, { recursive: true, withFileTypes: true })).filter(entry => entry.isFile())
  const disk = Buffer.concat(await Promise.all(files.map(({ parentPath, name }) => readFile(join(parentPath, name)))))
  expect(disk.includes('x-kept')).toBe(true)
  const needles = [
    ...Object.values(extra),
    ...Object.values(secrets),
    ...signatures.map(each => each.split(/[=,]/).at(-1)!),
  ]
  expect(needles.filter(needle => needle.length > 5 && disk.includes(needle))).toEqual([])
})

test('a valid trace context of the source is passed on', async () => {
  const { url, stored } = await openTrigger({ endpoints: { open: { scheme: 'none' } } })
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  for (const header of [traceparent, '00-00000000000000000000000000000000-b7ad6b7169203331-01', 'nonsense'])
    expect((await curl(`${url}/open`, order, { traceparent: header })).status).toBe(202)
  expect((await stored()).map(each => each.traceparent)).toEqual([traceparent, undefined, undefined])
})

test('a sample is signed as each endpoint requires', async () => {
  const port = await freePort()
  const endpoints = { ...each, open: { scheme: 'none' as const } }
  const { bus, stored } = await openTrigger({ port, endpoints })
  await webhook({ port, endpoints }).sendSample!(bus)
  expect((await stored()).map(({ data }) => [data.endpoint, (data.body as { type: string }).type])).toEqual(
    Object.keys(endpoints).map(name => [name, 'webhook.test']),
  )
  const wrong = { standard: { secret: `whsec_${Buffer.alloc(24, 1).toString('base64')}` } }
  await expect(webhook({ port, endpoints: wrong }).sendSample!(bus)).rejects.toMatchObject({
    message: expect.stringContaining('rejected the sample with 401'),
  })
  await expect(webhook({ port, endpoints: { standard: {} } }).sendSample!(bus)).rejects.toMatchObject({
    code: 'E_SETTING_INVALID',
  })
  await expect(webhook({ port: 0, endpoints }).sendSample!(bus)).rejects.toThrow(
    'port 0 is another one in each process',
  )
  await expect(webhook({ port: await freePort(), endpoints }).sendSample!(bus)).rejects.toMatchObject({
    code: 'E_NOT_FOUND',
  })
})
