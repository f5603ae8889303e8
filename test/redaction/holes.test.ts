import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createTransport } from 'nodemailer'
import { expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { agent } from '../../src/agents/agent.ts'
import { Bus } from '../../src/bus/bus.ts'
import { Pauses } from '../../src/bus/pauses.ts'
import { redactor, type Redaction } from '../../src/bus/redact.ts'
import { openSqlite } from '../../src/drivers/sqlite/index.ts'
import { event, type CloudEvent } from '../../src/event.ts'
import type { EmailReceived, WebhookReceived } from '../../src/received.ts'
import { app } from '../../src/runtime/app.ts'
import { collect, until } from '../../src/testing/wait.ts'
import { smtp } from '../../src/triggers/email/smtp.ts'
import { files } from '../../src/triggers/files/files.ts'
import type { Trigger } from '../../src/triggers/trigger.ts'
import { webhook } from '../../src/triggers/webhook/webhook.ts'
import { by } from '../../src/workflows/key.ts'
import { workflow } from '../../src/workflows/workflow.ts'
import { warnings } from '../lib/warnings.ts'
import { ask, eventsOf, onAnyBus } from '../lib/world.ts'

/* Holes that were found, each by itself. test/redaction/sweep.test.ts looks for those that were not. */

const token = `glpat-${'a1b2c3d4'.repeat(3)}`
const pin = '834921'

async function everyFile(folder: string): Promise<string> {
  const found = (await readdir(folder, { recursive: true, withFileTypes: true })).filter(file => file.isFile())
  return (await Promise.all(found.map(file => readFile(join(file.parentPath, file.name), 'latin1')))).join('\n')
}

/** A log under these rules, with a trigger on it. `disk` is all that is there when both are closed. */
async function open(rules: Redaction, trigger: Trigger, home?: string) {
  const folder = home ?? (await mkdtemp(join(tmpdir(), 'tidings-holes-')))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const bus = new Bus(await openSqlite({ home: folder }), { redactor: redactor(rules) })
  const running = await trigger.start(bus)
  let isOpen = true
  const close = async () => {
    if (!isOpen) return
    isOpen = false
    await running.stop()
    await bus.driver.close()
  }
  onTestFinished(close)
  const events = async () => {
    const found = await collect(bus.read({}))
    return Promise.all(found.map(({ event }) => bus.resolve(event)))
  }
  return { bus, address: running.address, folder, events, close, disk: async () => (await close(), everyFile(folder)) }
}

const order = event('order.paid', z.object({ card: z.object({ pin: z.string() }), note: z.string().optional() }))
const bodies: [string, string, string][] = [
  ['a declared path of the mapped event', 'application/json', `{"type":"order.paid","card":{"pin":"${pin}"}}`],
  ['a declared path of the body', 'application/json', `{"type":"other","secret":"${pin}"}`],
  ['an escape within JSON', 'application/json', `{"type":"other","x":"postgres:\\u002f/app:${pin}@db.example"}`],
  ['a form', 'application/x-www-form-urlencoded', `x=${encodeURIComponent(`postgres://app:${pin}@db.example`)}`],
]

test.each(bodies)(
  'the raw body of a webhook is not kept in clear beside an event that hides %s',
  async (_, type, body) => {
    const endpoints = {
      open: { scheme: 'none' as const, publishes: [order], ...(type.endsWith('json') ? {} : { publishes: [] }) },
    }
    const paths = ['order.paid:data.card.pin', 'webhook.received:data.body.secret']
    const log = await open({ paths }, webhook({ port: 0, endpoints }))
    const answer = await fetch(`${log.address}/open`.replace(/(\/hooks)?\/open$/, '/hooks/open'), {
      method: 'POST',
      body,
      headers: { 'content-type': type },
    })
    expect(answer.status).toBe(202)
    const [received] = (await log.events()) as [CloudEvent<WebhookReceived>]
    const kept = Buffer.from(await log.bus.getBlob('default', received.subject!)).toString()
    const shown = received.type === 'order.paid' ? received.data : received.data.body
    expect(JSON.parse(kept)).toEqual(shown)
    expect(kept).toContain('[redacted ')
    expect(await log.disk()).not.toContain(pin)
  },
)

test('the raw body of a webhook does not contain what a schema leaves out of the event', async () => {
  const endpoints = { open: { scheme: 'none' as const, publishes: [order] } }
  const log = await open({ paths: ['order.paid:data.code'] }, webhook({ port: 0, endpoints }))
  const answer = await fetch(`${log.address}/open`.replace(/(\/hooks)?\/open$/, '/hooks/open'), {
    method: 'POST',
    body: JSON.stringify({ type: 'order.paid', card: { pin: '1' }, code: pin }),
    headers: { 'content-type': 'application/json' },
  })
  expect(answer.status).toBe(202)
  const [{ subject, data }] = (await log.events()) as [CloudEvent]
  expect(data).toEqual({ card: { pin: '1' } })
  const kept = Buffer.from(await log.bus.getBlob('default', subject!)).toString()
  expect(JSON.parse(kept)).toEqual({ type: 'order.paid', card: { pin: '1' }, code: '[redacted data.code]' })
  expect(await log.disk()).not.toContain(pin)
})

test('the name of a file is nowhere in clear, and the file is seen to be removed after a restart', async () => {
  const base = await mkdtemp(join(tmpdir(), 'tidings-names-'))
  onTestFinished(() => rm(base, { recursive: true, force: true }))
  const folder = join(base, 'inbox')
  await mkdir(folder)
  const warned = warnings()
  const small = event('small.seen', z.object({ bytes: z.number().max(1) }))
  const start = (home?: string) =>
    open(
      { patterns: [{ name: 'staff', match: /\bE\d{6}\b/ }] },
      files(
        'inbox',
        { folder, stable: '150ms', types: { '*.pem': small } },
        { walkIntervalMs: 200, retryDelayMs: 50, flushIntervalMs: 50 },
      ),
      home,
    )
  const names = [`${token} a.txt`, `${token} a.pem`, 'E493021.txt', 'E493022.txt']
  await Promise.all(names.map(name => writeFile(join(folder, name), name.slice(-5))))
  const first = await start()
  await until(async () => (await first.events()).length === 4, { within: 10_000 })
  await first.close()
  await rm(join(folder, 'E493022.txt'))
  const second = await start(first.folder)
  await until(async () => (await second.events()).length >= 5, { within: 10_000 })
  await writeFile(join(folder, 'last.txt'), '')
  await until(async () => (await second.events()).length >= 6, { within: 10_000 })
  const story = (await second.events()).map(({ type, subject }) => `${type} ${subject}`)
  expect(story.slice(0, 4).toSorted()).toEqual([
    'file.created [redacted gitlab-token] a.pem',
    'file.created [redacted gitlab-token] a.txt',
    'file.created [redacted staff].txt',
    'file.created [redacted staff].txt',
  ])
  expect(story.slice(4)).toEqual(['file.removed [redacted staff].txt', 'file.created last.txt'])
  expect(await second.disk()).not.toMatch(/E49302|glpat-a/)
  expect(warned.join('\n')).toContain('[redacted gitlab-token] a.pem does not match small.seen')
  expect(warned.join('\n')).not.toContain(token)
}, 30_000)

test('a value redacted in one part of a mail is redacted in encoded words and HTML entities too', async () => {
  const log = await open({ paths: ['data.subject'] }, smtp({ port: 0 }))
  const mail = createTransport({ host: '127.0.0.1', port: Number(new URL(log.address).port), ignoreTLS: true })
  await mail.sendMail({
    from: 'ann@example.org',
    to: 'desk@example.net',
    subject: 'the hidden subject',
    headers: { 'x-note': `Grüße, ${token}` },
    html: `<p>${token.replace('glpat', '&#103;lpat')}</p>`,
  })
  mail.close()
  const [{ data, subject }] = (await log.events()) as [CloudEvent<EmailReceived>]
  expect(subject).toBe('[redacted data.subject]')
  expect(data.text).toContain('[redacted gitlab-token]')
  expect(data).not.toHaveProperty('html')
  expect(data.headers.find(({ name }) => name === 'x-note')!.value).toBe('Grüße, [redacted gitlab-token]')
  expect(await log.disk()).not.toMatch(/a1b2c3d4/)
})

test.each([
  ['half of it', 'see', `<p>${token}<wbr>${pin}</p>`],
  ['all of it beside a text of its own', 'see the HTML', `<p>${token.replace('glpat', 'gl<b></b>pat')}</p>`],
])('HTML of a mail whose tags hide a secret, %s, is left out', async (_, text, html) => {
  const log = await open({}, smtp({ port: 0 }))
  const mail = createTransport({ host: '127.0.0.1', port: Number(new URL(log.address).port), ignoreTLS: true })
  await mail.sendMail({ from: 'ann@example.org', to: 'desk@example.net', text, html })
  await mail.sendMail({ from: 'ann@example.org', to: 'desk@example.net', text, html: `<p>${token}</p>` })
  mail.close()
  const [hidden, shown] = (await log.events()) as [CloudEvent<EmailReceived>, CloudEvent<EmailReceived>]
  expect(hidden.data).not.toHaveProperty('html')
  expect(shown.data.html).toContain('<p>[redacted gitlab-token]</p>')
  expect(await log.disk()).not.toMatch(/a1b2c3d4|834921/)
})

const keyedOrder = event('order.paid', z.object({ order: z.string(), card: z.string() }))

const silent = agent('silent', {
  on: 'go',
  init: () => null,
  evolve: state => state,
  decide(_state, inputs, ctx) {
    ctx.emit({ type: inputs[0]!.data === 'secret' ? `key.${token}` : 'key.made', data: null })
    ctx.complete(null)
  },
})

onAnyBus(world => {
  test('the type of an event, a tenant and what is paused are names: one that holds a secret is refused', async () => {
    const worker = await (await world()).worker({ use: [silent] })
    const { bus } = worker
    const refused = { code: 'E_EVENT_INVALID', message: 'attribute "type" contains a secret' }
    await expect(bus.publish({ type: `key.${token}`, data: null })).rejects.toMatchObject(refused)
    await expect(bus.publish({ type: 'note.taken', tenant: token, data: null })).rejects.toMatchObject({
      message: 'attribute "tenant" contains a secret',
    })
    expect(await ask(worker, { type: 'go', data: null })).toMatchObject({
      type: 'agent.task.completed',
    })
    const draft = { type: 'go', data: 'secret' }
    expect(await ask(worker, draft)).toMatchObject({ type: 'agent.task.failed', data: { error: refused } })
    const pauses = new Pauses(bus)
    await expect(pauses.set('tool', token, true)).rejects.toThrow(/^the name of the tool contains a secret/)
    expect((await bus.driver.getDocument('paused'))?.value ?? '').not.toContain(token)
  })

  test('a subject that looks like the id of a task is redacted as any other', async () => {
    const redact = { patterns: [{ name: 'number', match: /\b\d{10}\b/ }] }
    const { bus } = await (await world()).worker({ use: [silent], redact })
    const task = '01990000-0000-7000-8000-000000000000'
    const { correlationid } = await bus.publish({
      type: 'note.taken',
      subject: `${task}.a1b2c3d4e5:${token}`,
      data: null,
    })
    await bus.publish({ type: 'note.taken', subject: `${task}.1234567890`, data: null, correlationid })
    await bus.publish({
      type: 'agent.cancel',
      target: 'silent',
      subject: `${task}.1234567890`,
      data: {},
      correlationid,
    })
    const subjects = (await eventsOf({ bus }, correlationid)).map(({ subject }) => subject)
    expect(subjects).toEqual([
      `${task}.a1b2c3d4e5:[redacted gitlab-token]`,
      `${task}.[redacted number]`,
      // The runtime's own: it names the task that is to end.
      `${task}.1234567890`,
    ])
  })

  test('events whose keys are hidden do not meet in one instance of a workflow', async () => {
    const keyed = (path: 'card' | 'order') =>
      workflow('keyed', {
        on: keyedOrder,
        key: [by(keyedOrder, paid => paid[path])],
        within: '1h',
      }).complete(() => null)
    expect(() => app({ use: [keyed('card')], redact: { paths: ['data.card'] } })).toThrow(
      'workflow "keyed" finds its instances by data.card of order.paid, which redact.paths hides',
    )
    const { bus } = await (await world()).worker({ use: [keyed('order')] })
    const ids = ['1', '2'].map(n => ({ type: 'order.paid', data: { order: `${token}${n}`, card: '' } }))
    const published = await bus.publishAll([...ids, { type: 'order.paid', data: { order: 'plain', card: '' } }])
    await until(async () => (await collect(bus.read({ filter: [{ types: ['workflow.event'] }] }))).length > 0)
    const routed = await collect(bus.read({ filter: [{ types: ['workflow.event'] }] }))
    expect(routed.map(({ event }) => event.causationid)).toEqual([published[2]!.id])
  })
})
