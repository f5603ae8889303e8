import { randomUUID } from 'node:crypto'
import { createServer, type ServerResponse } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { onTestFinished } from 'vitest'
import { agent, app, start, type RunningApp } from '../../src/index.ts'
import { type CloudEvent, type Draft } from '../../src/event.ts'
import type { Callable } from '../../src/tasks/script-context.ts'
import { until } from '../../src/testing/wait.ts'
import { natsUrl } from '../../test/lib/nats.ts'
import { ended, eventsOf } from '../../test/lib/world.ts'

interface Post {
  name: 'hook.post' | 'hook.once'
  body: unknown
}

const sum: Callable<unknown, { rows: number; sum: number }> = { kind: 'tool', name: 'table.sum' }

export const clerk = agent('clerk', { run: (ctx, input: object) => ctx.call(sum, input) })
export const hasty = agent('hasty', { run: (ctx, input: object) => ctx.call(sum, input, { within: 50 }) })
export const caller = agent('caller', {
  run: (ctx, { name, ...input }: Post & { url: string }) => ctx.call<unknown, unknown>({ kind: 'tool', name }, input),
})

const testApp = app({ name: 'desk', use: [clerk, hasty, caller] })

/** A separate log on the server that all tests share. */
export const fresh = () => `${natsUrl()}/py-${randomUUID()}`

export async function agents(bus: string): Promise<RunningApp> {
  const running = await start(testApp, { bus, only: ['agents'] })
  onTestFinished(() => running.stop())
  return running
}

/** The end of a task. Deliveries of a killed worker are redelivered after ten seconds. */
export async function asked(running: RunningApp, target: string, input: unknown): Promise<CloudEvent> {
  const { id, correlationid } = await running.bus.publish({ type: 'agent.invoke', target, data: { input } })
  return ended(running, correlationid, id, 25_000)
}

/** A request to a hook, which waits for the answer of the test. */
export interface Held {
  key: string
  pid: number
  body: unknown
  answer: ServerResponse
}

/** An HTTP server that holds requests until the test answers. */
export async function hook() {
  const held: Held[] = []
  const server = createServer((request, answer) => {
    const { 'user-agent': by = '', 'idempotency-key': key } = request.headers
    void json(request).then(body => held.push({ key: String(key), pid: Number(by.split('/')[1]), body, answer }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { held, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` }
}

/** The server remembers ids for a second. */
export const forgetful = (bus: string) =>
  manage(manager => manager.streams.update(logOf(bus), { duplicate_window: 1_000_000_000 }))

/** The claim of a call, as a worker in TypeScript makes it. */
export async function claimOf(running: RunningApp, body: string): Promise<Draft & { id: string }> {
  const request = await until(async () => {
    for await (const { event } of running.bus.read({ filter: [{ types: ['tool.invoke'] }] }))
      if ((event.data as { input: { body: unknown } }).input.body === body) return event
    return undefined
  })
  const { id, tenant, correlationid, hops } = request
  const source = '/tools/hook.once'
  return { id: `${id}:claim`, type: 'tool.claimed', source, tenant, correlationid, causationid: id, hops, data: null }
}

export async function find(running: RunningApp, correlation: string, type: string): Promise<CloudEvent | undefined> {
  return (await eventsOf(running, correlation)).find(event => event.type === type)
}

/** The consumer of a group, as the server reports it. */
export function consumer(bus: string, group: string) {
  const name = group.replaceAll('/', '%2F').replaceAll('.', '%2E')
  return manage(manager => manager.consumers.info(logOf(bus), name))
}

async function manage<T>(work: (manager: JetStreamManager) => Promise<T>): Promise<T> {
  const nc = await connect({ servers: natsUrl() })
  try {
    return await work(await jetstreamManager(nc))
  } finally {
    await nc.close()
  }
}

export const logOf = (bus: string) => bus.split('/').at(-1)!
