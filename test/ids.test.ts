import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createTransport } from 'nodemailer'
import { expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { admit } from '../src/bus/admit.ts'
import { isCorrelation } from '../src/bus/ids.ts'
import type { CloudEvent } from '../src/event.ts'
import { parseEffects, resolveEffects } from '../src/replay/effects.ts'
import { planFork, publishFork } from '../src/replay/fork.ts'
import { startGateway } from '../src/gateway/gateway.ts'
import {
  agent,
  all,
  approval,
  by,
  event,
  files,
  kafka,
  mqtt,
  on,
  schedule,
  smtp,
  tool,
  webhook,
  workflow,
} from '../src/index.ts'
import type { RunningApp } from '../src/runtime/start.ts'
import { collect, until } from '../src/testing/wait.ts'
import { tidings } from './lib/cli.ts'
import { asked, answerRequest } from './lib/approvals.ts'
import { onEveryBus } from './lib/world.ts'

/* What the runtime mints, and what is derived of an event from outside, is no id that the outside may send. */

const pay = tool('pay', {
  description: 'Pays.',
  input: z.object({ order: z.string() }),
  approval: true,
  atMostOnce: true,
  run: () => 'paid',
})
const helper = agent('helper', { run: async () => 'helped' })
const clerk = agent('clerk', {
  on: 'order.placed',
  async run(ctx, { order }: { order: string }) {
    await ctx.call(approval('editor', { approvers: ['ann'] }), order)
    await ctx.call(pay, { order })
    await ctx.call(helper, {})
    await ctx.sleep('5ms')
    ctx.emit({ type: 'order.done', data: { order } })
    return order
  },
})
const loop = agent('loop', { on: 'loop.begun', run: ctx => ctx.sleep('1h') })
const pair = workflow('pair', { key: [by('left.came', e => e.n), by('right.came', e => e.n)], within: '1h' })
  .when('both', all(on('left.came').as('left'), on('right.came').as('right')), { within: '1h' })
  .emit('pair.done', s => s.left.n)

const noEffects = resolveEffects([], { effects: parseEffects('*=recorded'), stubs: new Map() })

const refused = (id: string) => expect(() => admit({ type: 'a.b', id }, { source: '/test' }), id).toThrow(/"id"/)

/** Everything that is on the log, once all of these types are. */
const events = (bus: RunningApp['bus'], types: readonly string[]) =>
  until(
    async () => {
      const found = await collect(bus.read({}))
      const there = new Set(found.map(({ event }) => event.type))
      expect(types.filter(type => !there.has(type))).toEqual([])
      return found.map(({ event }) => event)
    },
    { within: 20_000 },
  )

async function post(url: string, event: object) {
  const headers = { 'content-type': 'application/json' }
  const answer = await fetch(`${url}/events`, { method: 'POST', headers, body: JSON.stringify(event) })
  return { status: answer.status, text: await answer.text() }
}

onEveryBus(world => {
  it('of a run with triggers, workflows, approvals and a fork', { timeout: 60_000 }, async () => {
    const log = await world()
    const folder = join(log.place.home, 'drop')
    await mkdir(folder, { recursive: true })
    const running = await log.worker(
      {
        use: [
          clerk, helper, loop, pair, pay,
          schedule('tick', { every: '1s' }),
          files('drop', { folder, stable: '50ms' }),
          smtp({ port: 0 }),
          webhook({ port: 0, endpoints: { open: { scheme: 'none' } } }),
        ], // biome-ignore format: one list
      },
      { only: ['agents', 'tools', 'models', 'triggers'] },
    )
    const { bus } = running
    const gateway = await startGateway({ bus, port: 0 })
    const { url } = gateway
    onTestFinished(() => gateway.stop())
    const accepted = new Set<string>()
    const send = async (id: string, type: string, data: unknown) => {
      expect(await post(url, { id, type, data })).toMatchObject({ status: 202 })
      accepted.add(id)
    }

    // As long as an id may be: what is derived of it is still one.
    for (const id of ['l'.repeat(240), 'late-1']) await send(id, 'left.came', { n: 1 })
    await send('right/1', 'right.came', { n: 1 })
    await until(async () => (await events(bus, ['pair.done'])).length > 0)
    await send('L'.repeat(240), 'left.came', { n: 1 })
    await send('payment-PO-1', 'order.placed', { order: 'PO-1' })
    await send('ask-1', 'loop.begun', null)
    const placed = (await events(bus, ['order.placed'])).find(({ type }) => type === 'order.placed')!
    const [editor] = await asked(bus, placed.correlationid)
    await answerRequest(bus, 'grant', editor!)
    const [, payment] = await asked(bus, placed.correlationid, 2)
    await answerRequest(bus, 'grant', payment!)
    await writeFile(join(folder, 'a.csv'), '1')
    const smtpPort = Number(new URL(running.addresses.find(each => each.startsWith('smtp:'))!).port)
    await createTransport({ host: '127.0.0.1', port: smtpPort, ignoreTLS: true }).sendMail({
      from: 'ann@example.org', to: 'desk@example.net', text: 'hello',
    }) // biome-ignore format: one line
    const hooks = running.addresses.find(each => each.endsWith('/hooks'))!
    for (const headers of [{ 'webhook-id': 'schedule:tick:1' }, {}])
      await fetch(`${hooks}/open`, {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/json' },
        body: '1',
      })
    const task = (await events(bus, ['timer.set'])).find(
      ({ source, type }) => type === 'task.turn' && source.endsWith('loop'),
    )!
    await tidings(log.place, ['attention', 'cancel', task.id.split(':')[0]!])
    await events(bus, ['order.done', 'agent.task.cancelled'])
    const first = (await events(bus, ['task.turn'])).find(
      ({ source, type }) => type === 'task.turn' && source.endsWith('helper'),
    )!
    await publishFork(bus, await planFork(bus, { task: first.id.split(':')[0]!, version: 1 }), 'fork', noEffects)

    const types = [
      'approval.claimed', 'approval.granted', 'email.received', 'webhook.received', 'file.created', 'schedule.fired',
      'workflow.event', 'workflow.late', 'tool.claimed', 'tool.result', 'timer.fired', 'agent.cancel', 'agent.fork',
    ] // biome-ignore format: one list
    const all = await events(bus, types)
    const minted = all.filter(({ id }) => !accepted.has(id))
    // What nobody can foresee needs no name of its own.
    const named = minted.filter(({ id }) => !isCorrelation(id))
    for (const { id } of named) refused(id)
    expect(named.length).toBeGreaterThan(30)
    const derived = all.filter(event => isDerived(event, accepted))
    expect(derived.length).toBeGreaterThan(3)
    for (const { id } of derived) expect(accepted.has(id)).toBe(false)
  })

  it('an event from outside cannot use an id that a schedule or a workflow will derive', async () => {
    const running = await (await world()).worker({ use: [pair] })
    const { bus } = running
    const gateway = await startGateway({ bus, port: 0 })
    const { url } = gateway
    onTestFinished(() => gateway.stop())
    await bus.publish({ id: 'probe', type: 'left.came', data: { n: 7 } })
    const routed = (await events(bus, ['workflow.event'])).find(({ type }) => type === 'workflow.event')!
    const suffix = routed.id.slice('probe'.length)
    for (const id of [
      `payment${suffix}`,
      `schedule:nightly:2027-01-01T03:00:00Z`,
      `${routed.correlationid}.0123456789`,
      `fork/${routed.correlationid}`,
    ])
      expect(await post(url, { id, type: 'order.paid' })).toMatchObject({
        status: 400,
        text: expect.stringContaining('\\"id\\"'),
      })
    expect(await post(url, { id: 'payment', type: 'right.came', data: { n: 7 } })).toMatchObject({ status: 202 })
    await events(bus, ['pair.done'])
  })

  it('types of triggers are refused from outside and accepted from an operator', async () => {
    const log = await world()
    const running = await log.worker({ use: [helper] })
    const gateway = await startGateway({ bus: running.bus, port: 0 })
    const { url } = gateway
    onTestFinished(() => gateway.stop())
    for (const type of [
      'email.received',
      'webhook.received',
      'file.created',
      'file.changed',
      'file.removed',
      'kafka.received',
      'kafka.rejected',
      'mqtt.received',
      'schedule.fired',
    ]) {
      const answer = await post(url, { type, data: {} })
      expect(answer.status).toBe(400)
      expect(JSON.parse(answer.text).error).toMatchObject({
        code: 'E_EVENT_INVALID',
        message: expect.stringMatching(/reserved for the trigger \w+\(\): use a type of your own/),
      })
    }
    for (const type of ['email.sent', 'file.uploaded', 'order.paid'])
      expect(await post(url, { type })).toMatchObject({ status: 202 })
    expect(await tidings(log.place, ['publish', 'email.received', '{}'])).toMatchObject({ code: 0 })
    expect((await events(running.bus, ['email.received'])).find(({ type }) => type === 'email.received')!.source).toBe(
      '/cli',
    )
  })
})

it('an id from outside leaves room for the ids derived from it', () => {
  expect(admit({ type: 'a.b', id: 'x'.repeat(240) }, { source: '/test' }).id).toHaveLength(240)
  refused('x'.repeat(241))
})

it('a trigger cannot publish the types of another trigger or of the runtime', () => {
  for (const type of ['email.received', 'schedule.fired', 'tool.result', 'agent.invoke']) {
    const mapped = event(type, z.any())
    for (const made of [
      () => files('drop', { folder: '.', types: { '*': mapped } }),
      () => kafka({ group: 'desk', topics: { orders: mapped } }),
      () => mqtt({ clientId: 'desk', topics: { 'rooms/#': mapped } }),
      () => schedule('tick', { every: '1s', type: mapped }),
      () => webhook({ endpoints: { open: { scheme: 'none', publishes: [mapped] } } }),
    ])
      expect(made).toThrow(/"type"/)
  }
})

const isDerived = ({ id }: CloudEvent, from: ReadonlySet<string>) =>
  [...from].some(origin => id !== origin && id.startsWith(origin))
