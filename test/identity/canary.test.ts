import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { z } from 'zod'
import { agent } from '../../src/agents/agent.ts'
import { isCorrelation, taskId } from '../../src/bus/ids.ts'
import type { CloudEvent } from '../../src/event.ts'
import { by, on, workflow } from '../../src/index.ts'
import { setLogger } from '../../src/bus/telemetry/log.ts'
import { app } from '../../src/runtime/app.ts'
import { start, type RunningApp } from '../../src/runtime/start.ts'
import { approval } from '../../src/tasks/approval.ts'
import { MemoryDriver } from '../../src/testing/memory/driver.ts'
import { MemoryLog } from '../../src/testing/memory/log.ts'
import { collect, until } from '../../src/testing/wait.ts'
import { tool } from '../../src/tools/tool.ts'
import { asked } from '../lib/approvals.ts'
import { bearer, everything, keyFor, policyFile } from '../lib/identity.ts'

/*
 * Two tenants on one gateway. One has secrets everywhere; the other knows all ids of the first, and sends whatever requests: no secret comes
 * back, and the first tenant notices nothing. TIDINGS_FUZZ says how many requests (`npm run canary`: 10,000).
 */

const runs = Number(process.env.TIDINGS_FUZZ ?? 320)
const batch = 16
const readMs = 60

const canary = `canary-${randomBytes(8).toString('hex')}`
const json = { 'content-type': 'application/json' }

const echo = agent('echo', { run: (_, input: unknown) => input as object })
const reader = agent('reader', { input: z.any(), run: (ctx, input) => ctx.call(read, input) })
const read = tool('read', {
  description: '',
  input: z.any(),
  run: async ({ blob }, { blob: bytesOf }) => Buffer.from(await bytesOf(blob)).toString(),
})
const editor = approval('editor')
const desk = agent('desk', { run: (ctx, input: unknown) => ctx.call(editor, input) })
const waiter = agent('waiter', { on: 'wait.begun', waitsFor: ['wait.over'], run: ctx => ctx.waitFor('wait.over') })
const pair = workflow('pair', { key: [by('left.came', e => e.n), by('right.came', e => e.n)], within: '1h' })
  .when('left', on('left.came').as('left'), { within: '1h' })
  .when('right', on('right.came').as('right'), { within: '1h' })
  .complete(s => s.left)

/** What the other tenant knows of the first: names and ids, and no content. */
interface Known {
  readonly correlations: string[]
  readonly tasks: string[]
  readonly events: string[]
  readonly blob: string
  readonly approval: { readonly id: string; readonly hash: string }
  readonly wait: { readonly task: string; readonly correlation: string }
}

interface Route {
  readonly method: string
  readonly path: string
}

let running: RunningApp
let url: string
let key: { readonly acme: string; readonly rival: string }
let known: Known
let routes: readonly Route[]
let before: string
/** All lines of the log of this process. */
let lines = ''

const call = (secret: string, path: string, init: RequestInit = {}) =>
  fetch(`${url}${path}`, { ...init, headers: { ...bearer(secret), ...(init.headers as object) } })
const post = async (path: string, body: unknown, headers: object = {}) =>
  (
    await call(key.acme, path, { method: 'POST', headers: { ...json, ...headers }, body: JSON.stringify(body) })
  ).json() as Promise<any>

/** Everything on the log that is of the first tenant, or in a correlation of it. */
async function ofAcme(): Promise<CloudEvent[]> {
  const events = (await collect(running.bus.read({}))).map(({ event }) => event)
  const own = new Set(events.filter(({ tenant }) => tenant === 'acme').map(({ correlationid }) => correlationid))
  return events.filter(({ correlationid }) => own.has(correlationid))
}

beforeAll(async () => {
  const policy = await policyFile({
    roles: { all: everything, customer: { publish: ['agent.*', 'left.*', 'wait.*'], read: ['>'] } },
    limits: { requestsPerMinute: 10_000_000, bytesPerMinute: 100_000_000_000 },
  })
  const use = [echo, reader, read, desk, waiter, pair]
  const options = { driver: new MemoryDriver(new MemoryLog()), policy, port: 0 }
  const write = (fields: object, text: string) => void (lines += `${JSON.stringify(fields)} ${text}\n`)
  process.on('warning', warning => (lines += String(warning)))
  running = await start(app({ name: 'canary', use }), { ...options, only: ['agents', 'tools', 'gateway'] })
  url = running.addresses[0]!
  setLogger({ error: write, warn: write, info: write, debug: write })
  const user = `ann-${canary}`
  key = {
    acme: await keyFor(running.bus, user, 'all', 'acme'),
    rival: await keyFor(running.bus, 'eve', 'all', 'rival'),
  }
  // What acme did before.
  const stored = (await (
    await call(key.acme, '/blobs', { method: 'POST', headers: { 'content-type': 'text/plain' }, body: canary })
  ).json()) as { blob: string }
  const published = await post('/events', { type: 'left.came', id: 'order-7', subject: canary, data: { n: 7, canary } })
  const begun = await post('/events', { type: 'wait.begun', data: { canary } })
  await post('/agents/echo', { input: { canary }, thread: 'shared' }, { 'idempotency-key': 'one', prefer: 'wait=5' })
  await post('/ui/chat/echo', {
    id: 'chat',
    messages: [{ id: 'm1', role: 'user', parts: [{ type: 'text', text: canary }] }],
  }).catch(() => {})
  const { correlationid, task } = await post('/agents/desk', { input: canary })
  const [request] = await asked(running.bus, correlationid)
  await until(async () => JSON.stringify(await ofAcme()).includes('"agent.task.completed"'))
  const events = await ofAcme()
  known = {
    correlations: [...new Set(events.map(event => event.correlationid))],
    tasks: [...new Set(events.flatMap(({ id }) => /^[0-9a-f-]{36}\.[0-9a-z]{10}(?=:)/.exec(id)?.[0] ?? [])), task],
    events: events.map(({ id }) => id),
    blob: stored.blob,
    approval: { id: request!.id, hash: request!.data.hash },
    wait: { correlation: begun.correlationid, task: taskId(begun.correlationid, 'waiter', begun.ids[0]) },
  }
  expect(published.correlationid).toSatisfy(isCorrelation)
  const { error } = (await (await call(key.acme, '/nothing')).json()) as { error: { message: string } }
  routes = [...error.message.matchAll(/(GET|POST|PUT|PATCH|DELETE) (\/[^\s,]*)/g)].map(([, method, path]) => ({
    method: method!,
    path: path!,
  }))
  // The control of the test: acme itself sees the secret on the same ways.
  const own = await Promise.all(
    [`/tasks/${known.tasks[0]}`, '/threads/shared', '/approvals', `/blobs/${known.blob}`].map(async path =>
      (await call(key.acme, path)).text(),
    ),
  )
  expect(own.filter(text => text.includes(canary)).length).toBeGreaterThan(2)
  before = JSON.stringify(await ofAcme())
}, 60_000)

afterAll(async () => {
  setLogger({})
  await running.stop()
})

/** A value that means something: an id of the first tenant, a name, or a pattern. */
const value = () =>
  fc.constantFrom(
    ...known.correlations, ...known.tasks, ...known.events.slice(0, 20), known.blob, known.approval.id, 'echo', 'reader', 'desk', 'pair', 'waiter',
    'shared', 'chat', 'order-7', '@acme:order-7', 'acme', `ann-${'x'}`, 'eve', '>', 'left.*', 'task.turn', 'agent.task.completed', '0', '9', '..', '%2e%2e', '',
  ) // biome-ignore format: one list

const input = () => fc.constantFrom<unknown>({ blob: known.blob }, 'text', null, { n: 7 })

const draft = () =>
  fc.record(
    {
      type: fc.constantFrom('left.came', 'right.came', 'wait.begun', 'wait.over', 'agent.invoke', 'agent.cancel', 'agent.message', 'approval.granted', 'workflow.event'),
      id: fc.constantFrom('order-7', 'x'), correlationid: value(), target: fc.constantFrom('echo', 'waiter', 'reader', 'pair', 'desk'),
      subject: fc.constantFrom(...known.tasks, known.wait.task), causationid: value(), tenant: fc.constant('acme'), user: fc.constant('ann'),
      data: fc.oneof(input(), fc.record({ input: input() }), fc.record({ message: input() }), fc.constant({ event: { tenant: 'acme' } })),
    },
    { requiredKeys: ['type', 'data'] },
  ) // biome-ignore format: one table

const bodyFor = (path: string): fc.Arbitrary<unknown> => {
  if (path === '/events') return fc.oneof(draft(), fc.array(draft(), { maxLength: 3 }))
  if (/^\/(agents|workflows)/.test(path))
    return fc.record({ input: input(), thread: fc.constantFrom('shared', 'chat', 'own') }, { requiredKeys: ['input'] })
  if (path === '/operations')
    return fc.record(
      {
        action: fc.constantFrom('retry', 'cancel', 'discard', 'fork'),
        task: fc.constantFrom(...known.tasks, known.wait.task),
        turn: fc.constant(1),
      },
      { requiredKeys: ['action', 'task'] },
    )
  if (path.startsWith('/approvals'))
    return fc.record({ decision: fc.constantFrom('grant', 'deny'), hash: fc.constant(known.approval.hash) })
  if (path.startsWith('/ui/chat')) {
    const part = fc.constantFrom<object>(
      { type: 'text', text: 'hello' },
      { type: 'file', mediaType: 'text/plain', url: `/blobs/${known.blob}` },
      { type: 'tool-x', state: 'approval-responded', approval: { id: known.approval.id, approved: true, signature: known.approval.hash } },
    ) // biome-ignore format: one list
    const message = fc.record({
      id: fc.constantFrom('m1', ...known.tasks),
      role: fc.constantFrom('user', 'assistant', 'system'),
      parts: fc.array(part, { minLength: 1, maxLength: 2 }),
    })
    return fc.record({
      id: fc.constantFrom('chat', 'shared', 'own'),
      trigger: fc.constantFrom('submit-message', 'regenerate-message'),
      messages: fc.array(message, { minLength: 1, maxLength: 3 }),
    })
  }
  return fc.oneof(fc.constantFrom({ message: 'psst' }, { reason: 'mine' }, { title: 'mine' }, {}), fc.jsonValue())
}

interface Sent {
  readonly method: string
  readonly path: string
  readonly query: Record<string, string>
  readonly headers: Record<string, string>
  readonly body: unknown
}

const isList = (path: string) =>
  /^\/(events|correlations|tasks|usage)$|^\/(correlations|tasks)\/:id\/(events|turns)$/.test(path)
const listQuery = {
  limit: fc.constantFrom('1', '1000'), text: fc.constantFrom(canary, 'left*'), by: fc.constantFrom('tenant', 'tenant,hour'), last: fc.constant('9'),
  since: fc.constant('1h'), after: fc.constantFrom('0', '1'), before: fc.constantFrom('9999', 'zz-zz'), failed: fc.constant('1'),
} // biome-ignore format: one table

/** Streams and lists know these parameters and refuse others, other routes ignore them. */
const query = (path: string): fc.Arbitrary<Record<string, string>> =>
  isList(path)
    ? fc.record(listQuery, { requiredKeys: [] })
    : path.startsWith('/events/')
      ? fc.record(
        {
          user: fc.constantFrom('eve', 'ann'), correlation: fc.constantFrom(...known.correlations), task: fc.constantFrom(...known.tasks),
          type: fc.constantFrom('>', 'left.*', 'task.turn', 'agent.task.completed'), after: fc.constantFrom('0', '1', '9', 'x'),
        },
        { requiredKeys: [] },
      ) // biome-ignore format: one table
      : fc.dictionary(fc.constantFrom('limit', 'type', 'user'), value(), { maxKeys: 1 })

const requestTo = ({ method, path }: Route): fc.Arbitrary<Sent> =>
  fc.record({
    method: fc.constant(method),
    path: fc.tuple(value(), value()).map(values => path.replaceAll(/:\w+/g, () => encodeURIComponent(values.shift() ?? 'x'))),
    query: query(path),
    headers: fc.record({ 'idempotency-key': fc.constant('one'), prefer: fc.constantFrom('wait=0', 'wait=1'), 'last-event-id': fc.constantFrom('0', '3'), 'x-tenant': fc.constant('acme') }, { requiredKeys: [] }),
    body: bodyFor(path),
  }) // biome-ignore format: one table

const anyRequest = (): fc.Arbitrary<Sent> =>
  fc.constantFrom(...routes, ...routes.filter(({ path }) => path.startsWith('/events/'))).chain(requestTo)

/** What comes back within a moment, with its headers. */
async function answerTo({ method, path, query, headers, body }: Sent): Promise<string> {
  const target = `${path}?${new URLSearchParams(query).toString()}`
  if (path.startsWith('/events/socket')) return socketText(target)
  const hasBody = method !== 'GET'
  const response = await call(key.rival, target, {
    method,
    headers: { ...headers, ...(hasBody && json) },
    ...(hasBody && { body: JSON.stringify(body) }),
  })
  let text = `${response.status} ${JSON.stringify([...response.headers])} `
  if (response.headers.get('content-type') !== 'text/event-stream') return text + (await response.text())
  const part = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  const end = setTimeout(() => void part.cancel(), readMs)
  for (let next = await part.read(); !next.done; next = await part.read()) text += next.value
  clearTimeout(end)
  return text
}

async function socketText(target: string): Promise<string> {
  const { ticket } = (await (await call(key.rival, '/tickets', { method: 'POST' })).json()) as { ticket: string }
  const socket = new WebSocket(`${url.replace('http', 'ws')}${target}&ticket=${ticket}`)
  let text = ''
  socket.on('message', (data: Buffer) => (text += data.toString())).on('error', () => {})
  const closed = new Promise(resolve => socket.once('close', resolve))
  setTimeout(() => socket.terminate(), readMs)
  await closed
  return text
}

test('no byte of a tenant comes back to another one, and nothing of it changes', async () => {
  const statuses = new Map<string, number>()
  const sendAll = async (requests: readonly Sent[]) => {
    const answers = await Promise.all(requests.map(answerTo))
    for (const [i, text] of answers.entries()) {
      const status = text.slice(0, 3)
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
      expect(text, JSON.stringify(requests[i])).not.toContain(canary)
      expect(status, JSON.stringify(requests[i])).not.toBe('500')
    }
  }
  // Chance alone may pass over a route.
  expect(routes.length).toBeGreaterThan(40)
  await fc.assert(fc.asyncProperty(fc.tuple(...routes.map(requestTo)), sendAll), { numRuns: 1, endOnFailure: true })
  await fc.assert(
    fc.asyncProperty(fc.array(anyRequest(), { minLength: batch, maxLength: batch }), sendAll),
    { numRuns: Math.ceil(runs / batch), endOnFailure: true },
  )
  // The requests were not all refused at the door.
  expect((statuses.get('200') ?? 0) + (statuses.get('202') ?? 0)).toBeGreaterThan(runs / 10)
  expect(statuses.get('401')).toBeUndefined()
  expect(JSON.stringify(await ofAcme())).toBe(before)
  for (const secret of [key.acme, key.rival, 'tidings_ticket_', canary]) expect(lines).not.toContain(secret)
  await post('/events', { type: 'wait.over', correlationid: known.wait.correlation, data: 'own' })
  const view = async () => (await running.bus.get(known.wait.task, known.wait.correlation)) ?? (await ofAcme()).find(({ id, type }) => id.startsWith(known.wait.task) && type === 'agent.task.completed')
  expect(((await until(view)) as CloudEvent<{ output: unknown }>).data.output).toBe('own')
}, 60_000 + runs * 60) // biome-ignore format: one story

const loopback = [
  '127.0.0.1',
  'localhost',
  '[::1]',
  '0.0.0.0',
  '127.1',
  '127.0.0.1.evil.example',
  'localhost.evil.example',
]

test('of 200 hostile origins none is believed', async () => {
  const domain = fc.oneof(fc.domain(), fc.constantFrom(...loopback), fc.ipV4())
  const origin = fc.oneof(
    fc.tuple(fc.constantFrom('http', 'https', 'file', 'HTTP', 'chrome-extension'), domain, fc.constantFrom('', ':80', ':1', ':4110', '.')).map(([scheme, host, port]) => `${scheme}://${host}${port}`),
    fc.constantFrom('null', '*', 'undefined', 'about:blank', 'data:', `${url}.evil.example`, `${url}@evil.example`, `http://evil.example/${url}`, `http://evil.example#${url}`),
  ) // biome-ignore format: one table
  const count = (await collect(running.bus.read({}))).length
  await fc.assert(
    fc.asyncProperty(origin, async hostile => {
      const answer = await call(key.rival, '/events', { method: 'POST', headers: { ...json, origin: hostile }, body: '{"type":"a.b"}' })
      expect([hostile, answer.status]).toEqual([hostile, 403])
      expect(answer.headers.get('access-control-allow-origin')).toBeNull()
    }),
    { numRuns: 200 },
  ) // biome-ignore format: one call
  expect(await collect(running.bus.read({}))).toHaveLength(count)
}, 60_000)

const forged = [
  'tenant',
  'user',
  'source',
  'hops',
  'replyto',
  'call',
  'deadline',
  'dataref',
  'replay',
  'retryof',
  'time',
]
const reserved = [
  'task.turn', 'tool.invoke', 'tool.result', 'tool.claimed', 'model.invoke', 'model.result', 'step.result', 'agent.task.completed', 'agent.fork',
  'agent.retry', 'agent.other', 'approval.requested', 'approval.granted', 'approval.claimed', 'control.paused', 'workflow.event', 'workflow.migrate',
  'timer.fired', 'call.expired', 'call.cancelled', 'operation.requested', 'operation.completed', 'schedule.fired', 'email.received', 'webhook.received', 'file.created', 'mqtt.received',
] // biome-ignore format: one list

test('no forged attribute, answer or reserved type is believed, in any mode of a request', async () => {
  const values = { hops: 7, deadline: '2030-01-01T00:00:00Z', time: '2001-01-01T00:00:00Z', dataref: known.blob }
  const send = async (headers: object, body: unknown) =>
    (await call(key.rival, '/events', { method: 'POST', headers: headers as Record<string, string>, body: JSON.stringify(body) })).status
  const taken: string[] = []
  for (const name of forged) {
    const attribute = { [name]: (values as Record<string, unknown>)[name] ?? 'acme' }
    const event = { specversion: '1.0', type: 'forged.event', source: '/x', ...attribute }
    const binary = Object.fromEntries(Object.entries(event).map(([attr, text]) => [`ce-${attr}`, String(text)]))
    for (const status of [
      await send(json, event),
      await send(json, [event]),
      await send({ 'content-type': 'application/cloudevents+json' }, event),
      await send({ ...json, ...binary }, {}),
    ])
      if (status === 202) taken.push(name)
  }
  for (const type of reserved)
    for (const more of [{}, { target: 'desk', subject: known.approval.id, correlationid: known.correlations[0] }])
      expect([type, await send(json, { type, data: { hash: known.approval.hash, by: 'ann' }, ...more })]).toEqual([type, 400])
  // CloudEvents clients send these two: they are replaced.
  expect(new Set(taken)).toEqual(new Set(['source', 'time']))
  const stored = (await collect(running.bus.read({ filter: [{ types: ['forged.event', ...reserved] }] }))).map(({ event }) => event)
  const [from] = [stored.filter(({ type }) => type === 'forged.event')]
  expect(from.length).toBeGreaterThan(0)
  for (const { tenant, user, source, hops, time } of from) {
    expect([tenant, user, source, hops]).toEqual(['rival', 'eve', '/gateway', 0])
    expect(Date.parse(time)).toBeGreaterThan(Date.UTC(2020))
  }
}, 60_000) // biome-ignore format: one story
