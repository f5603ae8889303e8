import { hash, randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { createTransport } from 'nodemailer'
import { expect, it, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { MemoryDriver } from '../src/testing/memory/driver.ts'
import { MemoryLog } from '../src/testing/memory/log.ts'
import type { Driver } from '../src/bus/driver.ts'
import { correlationFor, counterpart, isCorrelation, isTextDerived, shardOf } from '../src/bus/ids.ts'
import { publishText } from '../src/cli/publish.ts'
import { agent, all, app, files, on, schedule, smtp, start, tool, webhook, workflow } from '../src/index.ts'
import type { RunningApp } from '../src/runtime/start.ts'
import { originalCorrelation } from '../src/tasks/effects.ts'
import { collect, until } from '../src/testing/wait.ts'
import { intercepted } from './lib/disordered.ts'
import { startGateway } from './lib/gateway.ts'
import { describeNats, natsUrl } from './lib/nats.ts'
import { rememberIdsFor } from './lib/nats-ids.ts'

/* A publish that is repeated after the log has forgotten its id meets the task of the first one. */

const placed = { id: 'order-7', type: 'order.placed', data: { n: 21 } }

/** An agent with a tool, a workflow in the correlation of its events, and how often the tool ran. */
function shop() {
  const runs: number[] = []
  const charge = tool('charge', { description: 'Charges.', input: z.number(), run: n => runs.push(n) })
  const clerk = agent('clerk', {
    on: 'order.placed',
    run: async (ctx, { n }: { n: number }) => {
      await ctx.call(charge, n)
      ctx.emit({ type: 'order.booked', data: n })
    },
  })
  const parcel = workflow('parcel', { within: '1h' })
    .when('both', all(on('order.placed').as('placed'), on('order.booked').as('booked')), { within: '1h' })
    .emit('parcel.sent', s => s.placed)
  return { use: [clerk, charge, parcel], runs }
}

const isIdle =
  ({ bus }: RunningApp) =>
  async () =>
    (await bus.listGroups()).every(({ lag }) => lag === 0)

const typesOn = async ({ bus }: RunningApp) => (await collect(bus.read({}))).map(({ event }) => event.type)

/** Publishes, lets the log forget the id, and publishes again: nothing runs a second time. */
async function expectOneTask(running: RunningApp, runs: readonly number[], forget: () => Promise<void> | void) {
  const first = await running.bus.publish(placed)
  await until(async () => (await typesOn(running)).includes('parcel.sent'))
  await until(isIdle(running))
  const before = await typesOn(running)
  await forget()
  const second = await running.bus.publish(placed)
  expect(second).toMatchObject({ id: placed.id, correlationid: first.correlationid, duplicate: false })
  expect(second.position.partition).toBe(first.position.partition)
  expect(second.position.offset).toBeGreaterThan(first.position.offset)
  await until(isIdle(running))
  const after = await typesOn(running)
  expect(after.filter(type => type !== 'probe.sent')).toEqual([...before, 'order.placed'])
  expect(runs).toEqual([21])
}

async function onMemory(wrap = (driver: Driver) => driver) {
  const log = new MemoryLog({ partitions: 3 })
  const { use, runs } = shop()
  const running = await start(app({ use }), { driver: wrap(new MemoryDriver(log)), only: ['agents', 'tools'] })
  onTestFinished(() => running.stop())
  return { log, runs, running }
}

test('a log of three partitions that has forgotten the id has one task for it', async () => {
  const { log, runs, running } = await onMemory()
  await expectOneTask(running, runs, () => log.byId.clear())
})

test('a task whose journal was purged is not started again, and its event ends', async () => {
  let more = 0
  const { log, runs, running } = await onMemory(driver =>
    intercepted(driver, (delivery, handOn) => {
      // The attempts of the minute in which the journal could still appear.
      Object.assign(delivery, { attempt: delivery.attempt + more })
      handOn()
    }),
  )
  await running.bus.publish(placed)
  await until(async () => (await typesOn(running)).includes('parcel.sent'))
  await until(isIdle(running))
  await running.bus.purge({ maxAgeMs: -1_000, maxLag: 1_000_000 })
  expect(log.byId.size).toBe(0)
  const waiting = () => collect(running.bus.listDeferred())

  await running.bus.publish(placed)
  const early = await until(async () => (await waiting())[0])
  expect(early).toMatchObject({ state: 'delayed', reason: { code: 'E_JOURNAL_BEHIND' } })
  more = 8
  await running.bus.redeliver({ id: early.id })
  await until(isIdle(running))
  expect(await waiting()).toEqual([])
  // The workflow may have ended before this event, or with it.
  expect([runs, await typesOn(running)]).toEqual([[21], ['order.placed', 'workflow.late']])
})

test('the embedded log knows an id as long as it keeps the event', async () => {
  const { bus } = await startGateway()
  const first = await bus.publish(placed)
  expect(await bus.publish(placed)).toEqual({ ...first, duplicate: true })
})

describeNats('on nats', () => {
  it.each([1, 3])(
    'an id that is published after the window of the server has one task, with %i partitions',
    async count => {
      const { use, runs } = shop()
      const log = `repeated-${randomUUID()}`
      const bus = `${natsUrl()}/${log}?partitions=${count}`
      const running = await start(app({ use }), { bus, only: ['agents', 'tools'] })
      onTestFinished(() => running.stop())
      await rememberIdsFor(log)
      await expectOneTask(running, runs, async () => {
        // In the partition of the event.
        const probe = { id: 'probe', type: 'probe.sent', correlationid: correlationFor(placed), data: null }
        await running.bus.publish(probe)
        await until(async () => !(await running.bus.publish(probe)).duplicate)
      })
    },
  )
})

test('the gateway, the command line and an app give one id one correlation, in any batch', async () => {
  const { bus, url } = await startGateway()
  const post = async (body: unknown) => {
    const headers = { 'content-type': 'application/json' }
    const answer = await fetch(`${url}/events`, { method: 'POST', headers, body: JSON.stringify(body) })
    return (await answer.json()) as { correlationid: string; correlationids?: string[]; duplicates?: string[] }
  }
  const [a, b, c] = ['a', 'b', 'c'].map(id => correlationFor({ id }))
  expect(await post({ id: 'a', type: 'order.placed' })).toMatchObject({ correlationid: a })
  expect(await bus.publish({ id: 'b', type: 'order.placed', data: null })).toMatchObject({ correlationid: b })
  expect(await publishText(bus, 'order.placed', 'null', { id: 'c' })).toMatchObject({ correlationid: c })

  const named = '01900000-0000-7000-8000-000000000001'
  const repeated = await post([
    { type: 'order.seen' },
    ...['a', 'b', 'c', 'd'].map(id => ({ id, type: 'order.placed' })),
    { id: 'e', type: 'order.placed', correlationid: named },
    { type: 'order.seen' },
  ])
  const shared = repeated.correlationid
  expect(repeated).toMatchObject({
    correlationids: [shared, a, b, c, correlationFor({ id: 'd' }), named, shared],
    duplicates: ['a', 'b', 'c'],
  })
  expect(isTextDerived(shared)).toBe(false)
  expect(await post([{ type: 'order.seen' }, { type: 'order.seen' }])).not.toHaveProperty('correlationids')
})

test('a trigger gives the event of one input one correlation', async () => {
  const home = await mkdtemp(join(tmpdir(), 'tidings-repeated-'))
  onTestFinished(() => rm(home, { recursive: true }))
  const folder = join(home, 'drop')
  await mkdir(folder)
  await writeFile(join(folder, 'a.csv'), '1')
  const running = await start(
    app({
      use: [
        schedule('tick', { every: '1s' }),
        files('drop', { folder, stable: '50ms' }),
        smtp({ port: 0 }),
        webhook({ port: 0, endpoints: { open: { scheme: 'none' } } }),
      ],
    }),
    { home, bus: 'sqlite', only: ['triggers'] },
  )
  onTestFinished(() => running.stop())
  const addressOf = (form: RegExp) => running.addresses.find(each => form.test(each))!
  const mailer = createTransport({
    host: '127.0.0.1',
    port: Number(new URL(addressOf(/^smtp:/)).port),
    ignoreTLS: true,
  })
  await mailer.sendMail({ from: 'ann@example.org', to: 'desk@example.net', text: 'hello' })
  const headers = { 'content-type': 'application/json', 'webhook-id': 'msg-1' }
  await fetch(`${addressOf(/hooks$/)}/open`, { method: 'POST', headers, body: '1' })

  const wanted = ['email.received', 'file.created', 'schedule.fired', 'webhook.received']
  const events = await until(async () => {
    const found = (await collect(running.bus.read({}))).map(({ event }) => event)
    return wanted.every(type => found.some(event => event.type === type)) && found
  })
  // A schedule derives its correlation from the due time too.
  for (const { type, id, correlationid } of events)
    if (type !== 'schedule.fired') expect(correlationid, type).toBe(correlationFor({ id }))
    else expect(correlationid[14]).toBe('7')
})

const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 240 }).filter(value => !value.includes('\0'))
const tenants = fc.stringMatching(/^[a-z0-9][a-z0-9_-]{0,62}$/)

test('a correlation follows from tenant and id alone, and tells tenants and ids apart', () => {
  fc.assert(
    fc.property(tenants, text, tenants, text, (tenant, id, otherTenant, otherId) => {
      const correlation = correlationFor({ tenant, id })
      expect(isCorrelation(correlation) && isTextDerived(correlation)).toBe(true)
      expect(correlation === correlationFor({ tenant: otherTenant, id: otherId })).toBe(
        tenant === otherTenant && id === otherId,
      )
      // The derivation of the wire format, in other words.
      const hex = hash('sha256', Buffer.concat([Buffer.from(tenant), Buffer.of(0), Buffer.from(id)]), 'hex')
      const plain = correlation.replaceAll('-', '')
      expect([plain.slice(0, 12), plain.slice(13, 16), plain.slice(17)]).toEqual([
        hex.slice(0, 12),
        hex.slice(13, 16),
        hex.slice(17, 32),
      ])
    }),
  )
  expect(correlationFor({ id: 'x' })).toBe(correlationFor({ tenant: 'default', id: 'x' }))
})

test('the wire format has a worked example', async () => {
  const page = await readFile(join(import.meta.dirname, '../docs/wire-format.md'), 'utf8')
  const section = page.slice(page.indexOf('### The correlation of an id'))
  const rows = [
    ...section
      .slice(0, section.indexOf('\n### ', 4))
      .matchAll(/^\| `(.+)` \| `(.+)` \| `([0-9a-f-]{36})` \| (\d+) \|$/gm),
  ]
  expect(rows.length).toBeGreaterThan(3)
  for (const [, tenant, id, correlation, shard] of rows) {
    expect(correlationFor({ tenant: tenant!, id: id! })).toBe(correlation)
    expect(shardOf(correlation!, 8)).toBe(Number(shard))
  }
})

test('a redrive finds the original of a derived correlation, and of the instances that it feeds', () => {
  const first = '01900000-0000-7000-8000-00000000000a'
  const second = '01900000-0000-7000-8000-00000000000b'
  const root = correlationFor({ id: 'order-7' })
  const instance = correlationFor({ id: 'a key' })
  // The redrive of a redrive.
  const redriven = counterpart(root, first)
  const of = { correlation: redriven, replay: `redrive/${first}` }
  expect(isTextDerived(redriven)).toBe(true)
  const originalOf = (correlation: string) => originalCorrelation({ of }, `redrive/${second}`, correlation)
  expect(originalOf(counterpart(redriven, second))).toBe(redriven)
  expect(originalOf(counterpart(instance, second))).toBe(counterpart(instance, first))
})
