import { expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import first from '../../examples/first/app.ts'
import { describePython, pythonWorker } from '../../examples/python-consumer/python.ts'
import { agent, app, model, smtp, tool, type RunningApp, start } from '../../src/index.ts'
import { openNats } from '../../src/drivers/nats/index.ts'
import { offsetsOf } from '../../src/bus/cursor.ts'
import { createEvent } from '../../src/event.ts'
import { startNatsCluster } from '../../src/testing/nats/cluster.ts'
import { freePort } from '../../src/testing/ports.ts'
import { until } from '../../src/testing/wait.ts'
import { asked } from '../lib/approvals.ts'
import { bearer, keyFor, policyFile } from '../lib/identity.ts'
import { Provider } from '../lib/outage.ts'
import { describeNatsServer } from '../lib/nats.ts'
import { ended, eventsOf } from '../lib/world.ts'
import { dataFolder, entry } from './lib/broker.ts'
import {
  client,
  configuration,
  guarded,
  subscribeOrRefusal,
  password,
  role,
  replyOrRefusal,
  urlOf,
  violations,
} from './lib/guarded.ts'

const group = 'tool%2Fnotes%2Esearch'

async function answered(running: RunningApp, correlationid: string): Promise<unknown> {
  const found = await until(
    async () => (await eventsOf(running, correlationid)).find(({ type }) => type === 'question.answered'),
    { within: 15_000 },
  )
  return found.data
}

const sunday = { answer: expect.stringContaining('On Sunday the shop is open') }
const question = { type: 'question.asked', data: { text: 'When is the shop open on Sunday?' } }

describeNatsServer('roles with the permissions of the template', () => {
  it.each([1, 3])('each do their work, on a log with %i partition(s)', async partitions => {
    const nats = await guarded({ partitions })
    const agents = await role(nats, 'agents')
    await role(nats, 'tools')
    await role(nats, 'models')
    const port = await freePort()
    await role(nats, 'gateway', first, { port })
    const posted = await fetch(`http://127.0.0.1:${port}/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(question),
    })
    expect(posted.status).toBe(202)
    const { correlationid } = (await posted.json()) as { correlationid: string }
    expect(await answered(agents, correlationid)).toEqual(sunday)
    expect((await fetch(`http://127.0.0.1:${port}/health`)).status).toBe(200)
    const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
    expect(metrics).toContain('tidings_group_lag{group="app/first"}')
    expect(metrics).toContain('tidings_attention_entries{state="dead"} 0')
    const stream = await fetch(`http://127.0.0.1:${port}/events/stream?correlation=${correlationid}`)
    let seen = ''
    for await (const chunk of stream.body!.pipeThrough(new TextDecoderStream())) {
      seen += chunk
      if (seen.includes('event: question.answered')) break
    }
    expect(seen).toContain('event: tool.result')

    await agents.pauses.set('tool', 'notes.search', true)
    const { correlationid: later } = await agents.bus.publish(question)
    await until(async () => (await Array.fromAsync(agents.bus.driver.listDeferred())).length === 1, { within: 15_000 })
    await agents.pauses.set('tool', 'notes.search', false)
    expect(await answered(agents, later)).toEqual(sunday)
    // Whoever hears of a resume would hand out what was parked; the worker of the tool may, and did.
    expect((await violations(nats)).filter(line => !/user:(models|gateway)" .* "tidings\.r\./.test(line))).toEqual([])
  })

  it('pause requests to a provider, and record it on the log', async () => {
    const nats = await guarded()
    const provider = new Provider()
    provider.isAway = true
    const name = 'tidings/offline-extractive'
    const writer = agent('writer', {
      on: 'question',
      model: model(provider.model, { name }),
      instructions: 'Answer.',
    })
    const desk = app({ name: 'desk', use: [writer] })
    const agents = await role(nats, 'agents', desk)
    await role(nats, 'models', desk)
    await agents.bus.publishAll(Array.from({ length: 8 }, () => ({ type: 'question', data: null })))
    const circuit = async () => (await agents.bus.driver.getDocument(`circuit/${name}`))?.value
    await until(async () => (await circuit())?.includes('probeAt'), { within: 15_000 })
    provider.isAway = false
    const types = async () => (await Array.fromAsync(agents.bus.read({}))).map(({ event }) => event.type)
    await until(async () => (await types()).filter(type => type === 'agent.task.completed').length === 8, {
      within: 15_000,
    })
    expect(await types()).toContain('model.delayed')
    expect(await circuit()).toBe('{}')
    expect(await violations(nats)).toEqual([])
  }, 60_000)

  it.each([1, 3])(
    'acknowledge nothing when they stop reading in the middle of %i: a gateway may not',
    async partitions => {
      const nats = await guarded({ partitions })
      const operator = await openNats({ url: `${urlOf(nats, 'operator')}/tidings`, partitions })
      onTestFinished(() => operator.close())
      await operator.publish(Array.from({ length: 1_000 }, () => entry()))
      const gateway = await openNats({ url: `${urlOf(nats, 'gateway')}/tidings` })
      onTestFinished(() => gateway.close())
      for (const _ of [1, 2, 3]) {
        for await (const _first of gateway.follow('0', undefined, new AbortController().signal)) break
        expect(
          offsetsOf(await gateway.head(), partitions).reduce((sum, offset) => sum + offset),
        ).toBeGreaterThanOrEqual(1_000)
      }
      expect(await violations(nats)).toEqual([])
    },
  )

  it('come in any order: first wait for the log, then for the group of the agents', async () => {
    const nats = await guarded()
    const doors = [app({ name: 'first', use: [...first.agents, smtp({ port: 0 })] }), first]
    const waits: string[] = []
    const starting = (['triggers', 'gateway', 'tools', 'models'] as const).map(async only => {
      const running = await start(only === 'triggers' ? doors[0]! : first, {
        bus: `${urlOf(nats, only)}/tidings?timeout=3000`,
        only: [only],
        port: 0,
        onWaiting: ({ error }) => waits.push(error.message),
      })
      onTestFinished(() => running.stop())
      return running
    })
    await until(() => waits.length === 4)
    for (const message of waits) expect(message).toContain('the log does not exist')
    const maker = await openNats({ url: `${urlOf(nats, 'operator')}/tidings` })
    onTestFinished(() => maker.close())
    await Promise.all(starting.slice(2))
    await expect(
      openNats({ url: `${urlOf(nats, 'gateway')}/tidings` }).then(async driver => {
        onTestFinished(() => driver.close())
        await driver.createGroup({ group: 'app/first', mode: 'sharded', filter: [{ types: ['a'] }], from: 'now' })
      }),
    ).rejects.toMatchObject({ code: 'E_LOG_UNAVAILABLE', retryable: true })
    const agents = await role(nats, 'agents')
    await Promise.all(starting)
    const { correlationid } = await agents.bus.publish(question)
    expect(await answered(agents, correlationid)).toEqual(sunday)
  }, 30_000)

  it('do so on three servers, with three partitions of three copies each', async () => {
    const cluster = await startNatsCluster(3, { config: configuration(3) })
    onTestFinished(() => cluster.stop())
    const hosts = cluster.nodes.map(({ port }) => `127.0.0.1:${port}`).join(',')
    const running: RunningApp[] = []
    for (const only of ['agents', 'tools', 'models'] as const) {
      const bus = `nats://${only}:${password(only)}@${hosts}/tidings?replicas=3&partitions=3`
      running.push(await start(first, { bus, only: [only] }))
      onTestFinished(() => running.pop()!.stop())
    }
    const { correlationid } = await running[0]!.bus.publish(question)
    expect(await answered(running[0]!, correlationid)).toEqual(sunday)
    expect(running[0]!.durability.detail).toContain('3 copies')
    for (const nats of cluster.nodes) expect(await violations(nats)).toEqual([])
  }, 60_000)

  it.each([1, 3])(
    'claim a call that is to start at most once, and do not take it from others, with partitions=%i',
    async partitions => {
      const nats = await guarded({ partitions })
      const started: string[] = []
      const search = tool('notes.search', {
        description: 'Searches.',
        input: z.object({}),
        atMostOnce: true,
        run: (_, { idempotencyKey }) => started.push(idempotencyKey),
      })
      const clerk = agent('clerk', { run: ctx => ctx.call(search, {}) })
      const desk = app({ name: 'desk', use: [clerk, search] })
      const agents = await role(nats, 'agents', desk)
      await role(nats, 'tools', desk)
      const { id, correlationid } = await agents.bus.publish({
        type: 'agent.invoke',
        target: 'clerk',
        data: { input: null },
      })
      expect((await ended(agents, correlationid, id)).data).toMatchObject({ output: 1 })
      expect(await violations(nats)).toEqual([])
      const claim = `tidings.s.claim.${started[0]!.replaceAll(/[.:]/g, found => (found === '.' ? '%2E' : '%3A'))}%3Aclaim`
      const operator = await client(nats, 'operator')
      const stored = await replyOrRefusal(
        operator,
        '$JS.API.STREAM.MSG.GET.tidings_state',
        JSON.stringify({ last_by_subj: claim }),
      )
      expect(stored).toContain(claim)
      for (const user of ['models', 'gateway', 'triggers', 'python'])
        expect([user, await replyOrRefusal(await client(nats, user), claim)]).toEqual([user, 'denied'])
    },
  )

  it('ask a person before a tool runs, and take the answer at the gateway', async () => {
    const nats = await guarded()
    const search = tool('notes.search', { description: '', input: z.object({}), approval: true, run: () => 'found' })
    const desk = app({ name: 'desk', use: [agent('clerk', { run: ctx => ctx.call(search, {}) }), search] })
    const agents = await role(nats, 'agents', desk)
    await role(nats, 'tools', desk)
    const policy = await policyFile({ roles: { approver: { approve: ['>'] } } })
    const key = await keyFor(agents.bus, 'ann', 'approver')
    const { addresses } = await role(nats, 'gateway', desk, { port: 0, policy })
    const invoke = { type: 'agent.invoke', target: 'clerk', data: { input: null } }
    const { id, correlationid } = await agents.bus.publish(invoke)
    const [request] = await asked(agents.bus, correlationid)
    const { status } = await fetch(`${addresses[0]}/approvals/${request!.id}`, {
      method: 'POST',
      headers: { ...bearer(key), 'content-type': 'application/json' },
      body: JSON.stringify({ decision: 'grant', hash: request!.data.hash }),
    })
    expect(status).toBe(200)
    expect((await ended(agents, correlationid, id)).data).toMatchObject({ output: 'found' })
    expect(await violations(nats)).toEqual([])
  })

  it.each([1, 3])('let a tool worker do nothing else, with partitions=%i', async partitions => {
    const nats = await guarded({ partitions })
    // The partition of shard 1.
    const stream = partitions === 1 ? 'tidings' : 'tidings_1'
    const agents = await role(nats, 'agents')
    await role(nats, 'tools')
    const nc = await client(nats, 'tools')
    const { correlationid } = await agents.bus.publish({ type: 'order.placed', data: 1 })
    const denied = [
      // Turns, events of anybody else, answers of models, what other groups are handed.
      `tidings.t.0.${correlationid}.0000000000`,
      'tidings.e.0.-.order.placed',
      'tidings.e.0.desk.model.result',
      'tidings.e.0.notes%2Esearch.approval.granted',
      'tidings.e.0.helper.agent.invoke',
      'tidings.r.0.app%2Ffirst',
      'tidings.w.0.app%2Ffirst',
      // Who owns which shard, what is paused, other groups.
      'tidings.s.owner.app%2Ffirst',
      'tidings.s.doc.paused',
      'tidings.s.group.tool%2Fother',
      // Streams, and consumers that are not its own.
      '$JS.API.STREAM.CREATE.other',
      `$JS.API.STREAM.UPDATE.${stream}`,
      `$JS.API.STREAM.DELETE.${stream}`,
      `$JS.API.STREAM.PURGE.${stream}`,
      `$JS.API.STREAM.MSG.DELETE.${stream}`,
      `$JS.API.CONSUMER.CREATE.${stream}`,
      `$JS.API.CONSUMER.DURABLE.CREATE.${stream}.spy`,
      `$JS.API.CONSUMER.DELETE.${stream}.app%2Ffirst@1`,
      `$JS.API.CONSUMER.MSG.NEXT.${stream}.app%2Ffirst@1`,
      // Another log in the same account.
      'other.e.0.-.order.placed',
      '$JS.API.STREAM.INFO.other',
      '$JS.API.DIRECT.GET.other',
    ]
    for (const subject of denied) expect([subject, await replyOrRefusal(nc, subject)]).toEqual([subject, 'denied'])
    for (const subject of ['tidings.e.>', 'tidings.t.>', '$JS.>', '>'])
      expect(await subscribeOrRefusal(nc, subject)).toBe('denied')
    // A consumer that is there takes nobody else's place: where it delivers to is not to be changed.
    const pushing = { durable_name: group, deliver_subject: 'tidings.s.doc.paused', ack_policy: 'explicit' }
    const config = JSON.stringify({ stream_name: stream, config: pushing })
    expect(await replyOrRefusal(nc, `$JS.API.CONSUMER.DURABLE.CREATE.${stream}.${group}`, config)).toContain('"error"')
    // The same connection still may do what it must.
    expect(await replyOrRefusal(nc, `$JS.API.CONSUMER.INFO.${stream}.${group}`)).toContain('"durable_name"')
  })

  it('let a tool worker that may not create its group start when the group exists', async () => {
    const dataDir = await dataFolder()
    const before = await guarded({ dataDir })
    for (const running of [await role(before, 'agents'), await role(before, 'tools')]) await running.stop()
    await before.stop()
    const change = (text: string) => text.replaceAll(`"$JS.API.CONSUMER.DURABLE.CREATE.tidings.${group}"`, '')
    const nats = await guarded({ change, dataDir })
    const agents = await role(nats, 'agents')
    await role(nats, 'tools')
    await role(nats, 'models')
    expect(await replyOrRefusal(await client(nats, 'tools'), `$JS.API.CONSUMER.DURABLE.CREATE.tidings.${group}`)).toBe(
      'denied',
    )
    const { correlationid } = await agents.bus.publish(question)
    expect(await answered(agents, correlationid)).toEqual(sunday)
  })

  it('let tool workers share a limit on a log with several partitions', async () => {
    const nats = await guarded({ partitions: 3 })
    const limited = tool('notes.search', { description: 'Finds.', input: z.object({}), limit: 2, run: () => 'found' })
    const clerk = agent('clerk', {
      on: 'question.asked',
      run: async ctx => ctx.emit({ type: 'question.answered', data: await ctx.call(limited, {}) }),
    })
    const desk = app({ name: 'first', use: [clerk, limited] })
    const agents = await role(nats, 'agents', desk)
    for (let i = 0; i < 2; i++) await role(nats, 'tools', desk)
    const asked = await Promise.all(Array.from({ length: 8 }, () => agents.bus.publish(question)))
    for (const { correlationid } of asked) expect(await answered(agents, correlationid)).toBe('found')
    expect(await violations(nats)).toEqual([])
  })

  it('keep the gateway from speaking for the runtime', async () => {
    const nats = await guarded()
    await role(nats, 'agents')
    const nc = await client(nats, 'gateway')
    for (const type of [
      'tool.result',
      'model.result',
      'agent.task.completed',
      'agent.fork',
      'agent.retry',
      'operation.started',
      'operation.completed',
      'operation.failed',
      'step.result',
      'task.turn',
      'call.expired',
      'timer.fired',
      'approval.requested',
      'workflow.started',
    ])
      expect([type, await replyOrRefusal(nc, `tidings.e.0.desk.${type}`)]).toEqual([type, 'denied'])
    const placed = JSON.stringify(createEvent({ type: 'order.placed', data: 1 }))
    expect(await replyOrRefusal(nc, 'tidings.e.0.-.order.placed', placed)).toContain('"seq"')
    // What it answers for a user interface.
    const picked = JSON.stringify(createEvent({ type: 'agent.tool.result', target: 'desk', data: { output: 1 } }))
    expect(await replyOrRefusal(nc, 'tidings.e.0.desk.agent.tool.result', picked)).toContain('"seq"')
    // It may read API keys, and create none.
    expect(await replyOrRefusal(nc, 'tidings.s.doc.keys', '{}')).toBe('denied')
  })

  it('keep tenants apart by account, under the same names', async () => {
    const nats = await guarded()
    const agents = await role(nats, 'agents')
    const nc = await client(nats, 'tenant')
    expect(await replyOrRefusal(nc, '$JS.API.STREAM.NAMES')).toContain('"streams":null')
    const other = await start(app({ name: 'first', use: [agent('mute', { run: () => 1 })] }), {
      bus: `${urlOf(nats, 'tenant')}/tidings`,
      only: ['agents'],
    })
    onTestFinished(() => other.stop())
    const { id, correlationid } = await agents.bus.publish({ type: 'order.placed', data: 1 })
    const mine = await other.bus.publish({ type: 'agent.invoke', target: 'mute', data: { input: null } })
    await ended(other, mine.correlationid, mine.id)
    expect(await other.bus.get(id, correlationid)).toBeUndefined()
    expect(await eventsOf(other, correlationid)).toEqual([])
    expect(await eventsOf(agents, mine.correlationid)).toEqual([])
  })
})

await describePython('a worker in Python with the permissions of the template', () =>
  describeNatsServer('on NATS', () => {
    it.each([1, 3])('serves its tool and reacts to events, with partitions=%i', async partitions => {
      const nats = await guarded({ partitions })
      const clerk = agent('clerk', {
        run: (ctx, input: object) => ctx.call<unknown, unknown>({ kind: 'tool', name: 'table.sum' }, input),
      })
      const agents = await role(nats, 'agents', app({ name: 'desk', use: [clerk] }))
      await pythonWorker(`${urlOf(nats, 'python')}/tidings`, { SERVE: 'table.sum' })
      const csv = `n\n${'1\n'.repeat(10_000)}`
      const { id, correlationid } = await agents.bus.publish({
        type: 'agent.invoke',
        target: 'clerk',
        data: { input: { csv, column: 'n' } },
      })
      expect((await ended(agents, correlationid, id, 15_000)).data).toMatchObject({ output: { sum: 10_000 } })
      const placed = await agents.bus.publish({ type: 'order.placed', data: { total: 1 } })
      await until(async () =>
        (await eventsOf(agents, placed.correlationid)).some(({ type }) => type === 'order.audited'),
      )
      expect(await violations(nats)).toEqual([])
    })
  }),
)
