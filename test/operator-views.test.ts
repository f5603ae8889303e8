import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { agent, app, event, on, tool, workflow, type Principal } from '../src/index.ts'
import { instanceId, taskId } from '../src/bus/ids.ts'
import { start, type StartOptions } from '../src/runtime/start.ts'
import type { AppOptions } from '../src/runtime/app.ts'
import { MemoryDriver } from '../src/testing/memory/driver.ts'
import { MemoryLog } from '../src/testing/memory/log.ts'
import { collect, until } from '../src/testing/wait.ts'

/* What the gateway shows to operators, within their tenant. */

const paid = event('order.paid', z.object({ order: z.string(), amount: z.number() }))
const check = tool('check', {
  description: 'Checks an order.',
  input: z.object({ order: z.string() }),
  output: z.boolean(),
  readOnly: true,
  run: ({ order }) => {
    if (order === 'bad') throw new Error('no such order')
    return true
  },
})
const clerk = agent('clerk', { on: paid, run: (ctx, { order }) => ctx.call(check, { order }) })
const ship = workflow('ship', { input: z.object({ to: z.string() }), within: '1h' }).complete(s => s.event.to)

/** An app on a log in memory. The result asks its gateway. */
async function running(options: AppOptions, more: StartOptions = {}, log = new MemoryLog()) {
  const worker = await start(app(options), { driver: new MemoryDriver(log), only: ['agents', 'tools'], ...more })
  onTestFinished(() => worker.stop())
  const get = async (path: string, principal: Principal = ann, init: RequestInit = {}) => {
    const response = await worker.fetchAs(principal, new Request(`http://shop.example${path}`, init))
    return { status: response.status, headers: response.headers, body: (await response.json()) as any }
  }
  return { ...worker, get, log }
}

const ann: Principal = { tenant: 'default', user: 'ann', may: () => true }
const eve: Principal = { tenant: 'rival', user: 'eve', may: () => true }
const guest: Principal = { ...ann, may: action => action === 'read' }

it('/info says what the log is, who asks, and what the apps declare, with schemas', async () => {
  const { get, log } = await running({ name: 'shop', use: [paid, check, clerk, ship], retention: '2d' })
  const form = { type: 'object', properties: { order: { type: 'string' } }, required: ['order'] }
  const known = {
    apps: [{ app: 'shop', budget: { calls: 1_000, events: 10_000 } }],
    agents: [{ app: 'shop', name: 'clerk', version: 1, hash: expect.any(String), on: ['order.paid'], input: { type: 'object' } }],
    workflows: [{ app: 'shop', name: 'ship', callable: true, input: { properties: { to: { type: 'string' } } } }],
    tools: [{ name: 'check', description: 'Checks an order.', readOnly: true, atMostOnce: false, approval: false, input: form, output: { type: 'boolean' } }],
    models: [],
    types: [{ type: 'order.paid', schema: { type: 'object', required: ['order', 'amount'] } }],
  } // biome-ignore format: one object
  expect(await get('/info', guest)).toMatchObject({
    status: 200,
    body: {
      log: { bus: 'memory', durability: { survives: 'nothing' }, partitions: 1, head: '~', retention: 2 * 86_400_000 },
      identity: false,
      principal: { tenant: 'default', user: 'ann', rights: { read: true, operate: false, publish: false } },
      ...known,
    },
  })
  // A gateway in another process knows it from the log, and of a worker of an older version the names.
  const other = await running({ name: 'front', use: [] }, { only: ['tools'] }, log)
  expect((await other.get('/info')).body).toMatchObject(known)
})

it('/groups and /activity show what operators look at, and count only their tenant', async () => {
  const { get, bus } = await running({ name: 'shop', use: [paid, check, clerk] })
  expect((await get('/groups', guest)).status).toBe(403)
  expect((await get('/activity', guest)).status).toBe(403)
  // Both look from now on.
  const begun = await get('/activity')
  expect(begun).toMatchObject({ status: 200, body: { perSecond: 0, tools: [] } })
  await get('/activity', eve)
  await get('/groups')
  await bus.publish({ type: 'order.paid', data: { order: 'a', amount: 1 } })
  await bus.publish({ type: 'order.paid', data: { order: 'bad', amount: 1 } })
  const activity = await until(async () => {
    const { body } = await get('/activity')
    return body.tools[0]?.calls === 2 && body.ended > 0 && body
  })
  expect(activity).toMatchObject({ tools: [{ name: 'check', calls: 2, failed: 1 }] })
  expect((await get('/activity', eve)).body).toMatchObject({ perSecond: 0, types: [], tools: [] })

  const found = await get('/groups')
  expect(found.body.groups).toContainEqual({
    group: 'tool/check', kind: 'tool', name: 'check', mode: 'shared', lag: 0, inFlight: 0, paused: false,
  }) // biome-ignore format: one line
  expect(found.body.groups).toContainEqual(expect.objectContaining({ group: 'app/shop', kind: 'app', name: 'shop' }))
  const { everyMs, from, series } = found.body.history
  expect(Date.now() - from).toBeLessThan(60_000)
  expect(series['tool/check'].lag.at(-1)).toBe(0)
  expect(series.total.failed.at(-1)).toBe(1)
  expect((await get('/groups', eve)).body.history.series.total.failed.at(-1)).toBe(0)
  expect((await get(`/groups?since=${from + 100 * everyMs}`)).body.history.series.total.failed).toEqual([])
  expect(await get('/groups?limit=1')).toMatchObject({ status: 400, body: { error: { code: 'E_REQUEST_INVALID' } } })
})

it('/health/stream has groups, activity and workers, and since when the oldest call waits', async () => {
  const { fetchAs, bus, pauses } = await running({ name: 'shop', use: [paid, check, clerk] })
  expect((await fetchAs(guest, new Request('http://shop.example/health/stream'))).status).toBe(403)
  await pauses.set('tool', 'check', true)
  await bus.publish({ type: 'order.paid', data: { order: 'a', amount: 1 } })
  const stream = await fetchAs(ann, new Request('http://shop.example/health/stream'))
  let text = ''
  for await (const chunk of stream.body!.pipeThrough(new TextDecoderStream())) {
    text += chunk
    if (/"oldestMs":\d+/.test(text) && text.endsWith('\n\n')) break
  }
  const { groups, history, activity, workers } = JSON.parse(text.trim().split('data: ').at(-1)!)
  expect(groups).toContainEqual(expect.objectContaining({ group: 'tool/check', paused: true }))
  expect(history.series.total.perSecond.length).toBeGreaterThan(0)
  expect(activity.tools).toEqual([])
  expect(workers).toEqual([expect.objectContaining({ app: 'shop', pid: process.pid })])
})

it('/groups shows what is paused, the age of the oldest call, and models that are away', async () => {
  const { get, bus, pauses } = await running({ name: 'shop', use: [paid, check, clerk] })
  await pauses.set('tool', 'check', true)
  await bus.publish({ type: 'order.paid', data: { order: 'a', amount: 1 } })
  await until(async () => (await get('/groups')).body.groups.some(({ oldestMs }: any) => oldestMs > 20))
  expect((await get('/groups', eve)).body.groups.some(({ oldestMs }: any) => oldestMs !== undefined)).toBe(false)
  await pauses.set('agent', 'clerk', true)
  await bus.createGroup({ group: 'model/writer', filter: [], mode: 'shared', from: 'now' })
  const open = { since: Date.now(), probeAt: Date.now(), intervalMs: 1_000, reason: 'busy' }
  await bus.documents.create('circuit/writer', { open })
  const { body } = await get('/groups')
  expect(body.unavailable).toMatchObject([{ model: 'writer', reason: 'busy', nextProbe: expect.any(String) }])
  expect(body.groups).toContainEqual(
    expect.objectContaining({ group: 'tool/check', paused: true, oldestMs: expect.any(Number) }),
  )
  expect(body.paused).toEqual([{ kind: 'tool', name: 'check' }, { kind: 'agent', name: 'clerk' }]) // biome-ignore format: one line
})

it('/attention lists what needs a person of this tenant, similar ones as one', async () => {
  const { get, bus, pauses } = await running({ name: 'shop', use: [paid, check, clerk] })
  expect(await get('/attention')).toMatchObject({ status: 200, body: { items: [], count: 0 } })
  expect((await get('/attention', guest)).status).toBe(403)
  const order = (name: string, tenant = 'default') =>
    bus.publish({ type: 'order.paid', tenant, data: { order: name, amount: 1 } })
  await Promise.all(['bad', 'bad', 'bad'].map(name => order(name)))
  await order('bad', 'rival')
  const failed = await until(async () => {
    const { body } = await get('/attention?kind=failed')
    return body.count === 3 && body
  })
  expect(failed.items).toEqual([
    expect.objectContaining({
      kind: 'failed', program: 'clerk', code: 'E_TOOL_THREW', more: 2, next: [expect.stringMatching(/^tidings retry /), expect.any(String), expect.any(String)],
    }),
  ]) // biome-ignore format: one line
  await until(async () => (await get('/attention', eve)).body.count === 1)
  await pauses.set('tool', 'check', true)
  await order('parked')
  const { items } = await until(async () => {
    const { body } = await get('/attention?kind=parked')
    return body.count === 1 && body
  })
  expect(items[0]).toMatchObject({
    event: { type: 'tool.invoke', summary: expect.any(String) },
    next: ['tidings resume tool check'],
  })
  expect((await get('/attention', eve)).body.items).toMatchObject([{ kind: 'failed' }])
  expect((await get('/attention?limit=1')).body).toMatchObject({ items: [{ kind: 'parked' }], count: 4 })
})

it('/workflows shows definitions, and /tasks/ID/graph how far an instance is, without the app', async () => {
  const large = 'x'.repeat(2_000)
  const order = workflow('order', { on: paid, within: '1h' })
    .call('checked', check, s => ({ order: s.event.order }))
    .when('shipped', on('order.shipped'), { within: '1h' })
    .complete(s => s.event.order)
  const { bus, log, get: _ } = await running({ name: 'shop', use: [paid, check, order, ship] })
  const { get } = await running({ name: 'front', use: [] }, { only: ['tools'] }, log)
  const { body } = await get('/workflows')
  expect(body.workflows.map(({ name }: { name: string }) => name).toSorted()).toEqual(['order', 'ship'])
  expect((await get('/workflows/order')).body).toMatchObject({
    name: 'order', version: 1, keyed: false, callable: false, events: ['order.paid', 'order.shipped'],
    graph: { nodes: expect.arrayContaining([expect.objectContaining({ id: 'shipped', kind: 'when' })]) },
  }) // biome-ignore format: one object
  expect((await get('/workflows/orders')).status).toBe(404)
  expect((await get('/workflows', { ...ann, may: () => false })).status).toBe(403)

  for (const data of [
    { order: 'a', amount: 1 },
    { order: large, amount: 1 },
  ]) {
    const { correlationid } = await bus.publish({ type: 'order.paid', data })
    const task = instanceId(correlationid, 'order')
    const graph = await until(async () => {
      const answer = await get(`/tasks/${task}/graph`)
      return answer.status === 200 && answer.body.active[0] === 'shipped' && answer.body
    })
    expect(graph).toMatchObject({ task, name: 'order', done: expect.arrayContaining(['checked']) })
    expect((await get('/workflows/order')).body.instances).toEqual({ running: 0, waiting: 1, failed: 0 })
    expect((await get('/workflows/order', eve)).body.instances.waiting).toBe(0)
    const { body: instance } = await get(`/tasks/${task}/turns?last=1`)
    expect(instance).toMatchObject({ open: [{ type: 'timer.set', until: expect.any(String) }] })
    // A turn has no large state.
    if (data.order === 'a') expect(instance.awaits).toEqual(['order.shipped'])
    expect((await get(`/tasks/${task}/graph`, eve)).status).toBe(404)
    await bus.publish({ type: 'order.shipped', correlationid, data: {} })
    await until(async () => (await get(`/tasks/${task}/graph`)).body.done.includes('completed'))
  }
})

it('POST /operations replays tasks against the file of the app, and reports within bounds', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tidings-replay-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const file = join(folder, 'app.mjs')
  const asks = (order: string) => `
    import { agent, app, event, tool } from ${JSON.stringify(import.meta.resolve('../src/index.ts'))}
    import { z } from ${JSON.stringify(import.meta.resolve('zod'))}
    const check = tool('check', { description: '', input: z.any(), run: () => true })
    export default app({ name: 'shop', use: [check, agent('clerk', { on: 'order.paid', run: (ctx, { order }) => ctx.call(check, { order: ${order} }) })] })`
  await writeFile(file, asks('order'))
  const module = pathToFileURL(file).href
  const { get, bus } = await running({ name: 'shop', use: [paid, check, clerk] }, { module })
  const post = (body: object, principal = ann) =>
    get('/operations', principal, {
      method: 'POST',
      body: JSON.stringify({ action: 'replay', ...body }),
      headers: { 'content-type': 'application/json', prefer: 'wait=50' },
    })
  const ids: string[] = []
  for (const order of ['a', 'b', 'x'.repeat(3_000)]) {
    const { correlationid, id } = await bus.publish({ type: 'order.paid', data: { order, amount: 1 } })
    ids.push(taskId(correlationid, 'clerk', id))
  }
  await until(async () => (await get('/activity')).status === 200 && (await Promise.all(ids.map(id => get(`/tasks/${id}`)))).every(({ body }) => body.status === 'completed')) // biome-ignore format: one line
  expect(await post({ task: ids[1] })).toMatchObject({
    status: 200,
    body: { status: 'completed', user: 'ann', result: { found: 1, done: 1, checked: 1, same: 1, diverged: 0, failed: 0, divergences: [] } },
  }) // biome-ignore format: one object
  expect((await post({ tasks: { agent: 'clerk' }, dryRun: true })).body.result).toMatchObject({ found: 3, done: 0 })

  await writeFile(file, asks('`${order}!`'))
  const { result } = (await post({ tasks: { agent: 'clerk', state: 'completed' } })).body
  expect(result).toMatchObject({ found: 3, checked: 3, same: 0, diverged: 3, failed: 0 })
  const of = (task: string | undefined) => result.divergences.find((each: { task: string }) => each.task === task)
  expect(of(ids[0])).toMatchObject({
    turn: 1,
    kind: 'changed',
    diff: [{ path: 'data.input.order', before: 'a', after: 'a!' }],
  })
  expect(of(ids[2])).toMatchObject({ diff: [{ before: { truncated: true, chars: 3_002 } }] })
  // Nothing of it had an effect, and nobody replays the tasks of another tenant.
  expect(await collect(bus.read({ filter: [{ types: ['tool.invoke'] }] }))).toHaveLength(3)
  expect((await post({ task: ids[1] }, eve)).body).toMatchObject({ status: 'failed', error: { code: 'E_NOT_FOUND' } })
  expect((await post({ tasks: { agent: 'clerk' } }, eve)).body.result).toMatchObject({ found: 0 })
  expect(await post({ task: ids[1], tasks: { agent: 'clerk' } })).toMatchObject({ status: 400 })
})

it('a worker that does not know the file of its app says so', async () => {
  const { get, bus } = await running({ name: 'shop', use: [paid, check, clerk] })
  const { correlationid, id } = await bus.publish({ type: 'order.paid', data: { order: 'a', amount: 1 } })
  const task = taskId(correlationid, 'clerk', id)
  await until(async () => (await get(`/tasks/${task}`)).body.status === 'completed')
  const init = { method: 'POST', headers: { 'content-type': 'application/json', prefer: 'wait=50' }, body: JSON.stringify({ action: 'replay', task }) } // biome-ignore format: one line
  expect((await get('/operations', ann, init)).body).toMatchObject({
    status: 'failed', error: { code: 'E_SETTING_INVALID', next: expect.stringContaining('import.meta.url') },
  }) // biome-ignore format: one line
})

it('/slice downloads what tidings export writes, within the rights of who asks', async () => {
  const { bus, fetchAs } = await running({ name: 'shop', use: [paid, check, clerk] })
  const { correlationid, id } = await bus.publish({ type: 'order.paid', data: { order: 'a', amount: 1 } })
  await bus.publish({ type: 'order.paid', tenant: 'rival', data: { order: 'theirs', amount: 1 } })
  const task = taskId(correlationid, 'clerk', id)
  await until(async () => (await collect(bus.read({ filter: [{ types: ['agent.task.completed'] }] }))).length === 2)
  const download = async (query: string, principal = ann) => {
    const response = await fetchAs(principal, new Request(`http://shop.example/slice?${query}`))
    if (response.status !== 200) return response.status
    expect(response.headers.get('content-disposition')).toMatch(/^attachment; filename="[\w.-]+\.jsonl\.gz"$/)
    const text = gunzipSync(Buffer.from(await response.arrayBuffer())).toString()
    const lines = text.trim().split('\n').map(line => JSON.parse(line)) // biome-ignore format: one line
    expect(lines.at(-1).end.events).toBe(lines.filter(({ event }) => event).length)
    return { text, types: lines.flatMap(({ event }) => event?.type ?? []) }
  }
  const types = ['order.paid', 'task.turn', 'tool.invoke', 'tool.result', 'task.turn', 'agent.task.completed']
  for (const query of [`correlation=${correlationid}`, 'since=1h', 'since=1h&until=1ms']) {
    const slice = await download(query)
    expect(slice).toMatchObject({ types: expect.arrayContaining(types) })
    expect(slice).not.toMatchObject({ text: expect.stringContaining('theirs') })
  }
  expect(await download(`task=${task}`)).toMatchObject({ types: expect.arrayContaining(['task.turn', 'tool.invoke']) })
  const noTools: Principal = { ...ann, may: (_, type) => !type?.startsWith('tool.') }
  expect(await download('since=1h', noTools)).toMatchObject({ types: types.filter(type => !type.startsWith('tool.')) })
  expect(await download(`correlation=${correlationid}`, eve)).toBe(404)
  expect(await download('since=1h', guest)).toBe(403)
  expect(await download('since=1h', { ...ann, may: action => action === 'operate' })).toBe(403)
  for (const wrong of ['', 'correlation=x', `task=${task}&since=1h`, 'until=1h', 'since=now'])
    expect([wrong, await download(wrong)]).toEqual([wrong, 400])
})

it('/workers lists the workers that answer, and nobody else on the streams hears of it', async () => {
  const { get, log, bus, fetchAs } = await running({ name: 'shop', use: [paid, check, clerk] })
  const other = await start(app({ name: 'tools', use: [check] }), { driver: new MemoryDriver(log), only: ['tools'] })
  const stop = new AbortController()
  const stream = await fetchAs(ann, new Request('http://shop.example/events/stream', { signal: stop.signal }))
  const found = await get('/workers')
  expect(found.body.workers).toMatchObject([
    { app: 'shop', pid: process.pid, hosts: [{ kind: 'agent', name: 'clerk' }, { kind: 'tool', name: 'check' }] },
    { app: 'tools', host: expect.any(String), version: expect.any(String), hosts: [{ kind: 'tool', name: 'check' }] },
  ]) // biome-ignore format: one list
  await other.stop()
  const after = (await get('/workers')).body.workers
  expect(after[0].seen > after[1].seen).toBe(true)
  expect((await get('/workers', guest)).status).toBe(403)
  await bus.publish({ type: 'order.seen', data: null })
  let text = ''
  for await (const part of stream.body!.pipeThrough(new TextDecoderStream()))
    if ((text += part).includes('order.seen')) break
  expect(text).not.toContain('workers.')
  stop.abort()
})

it('GET /operations lists the commands of the tenant, newest first, page by page', async () => {
  const { get, bus } = await running({ name: 'shop', use: [paid, check, clerk] })
  const command = (body: object, principal = ann) =>
    get('/operations', principal, {
      method: 'POST',
      headers: { 'content-type': 'application/json', prefer: 'wait=50' },
      body: JSON.stringify(body),
    })
  await Promise.all(['bad', 'bad'].map(order => bus.publish({ type: 'order.paid', data: { order, amount: 1 } })))
  await until(async () => (await get('/attention')).body.count === 2)
  for (const action of ['pause', 'resume', 'pause']) await command({ action, kind: 'tool', name: 'check' })
  await command({ action: 'discard', tasks: { agent: 'clerk' } })
  await command({ action: 'retry', tasks: { agent: 'clerk' } }, eve)
  expect((await get('/attention')).body.count).toBe(0)
  const first = await get('/operations?limit=2')
  expect(first.body.operations).toMatchObject([
    { request: { action: 'discard' }, status: 'completed', user: 'ann', result: { found: 2, done: 2, ids: [expect.any(String)] } },
    { request: { action: 'pause' } },
  ]) // biome-ignore format: one list
  const rest = await get(`/operations?limit=5&before=${first.body.next}`)
  expect(rest.body.operations.map(({ request }: any) => request.action)).toEqual(['resume', 'pause'])
  expect((await get('/operations', eve)).body.operations).toMatchObject([{ user: 'eve', request: { action: 'retry' } }])
  expect((await get('/operations', guest)).status).toBe(403)
})
