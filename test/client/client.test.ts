import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, it, onTestFinished } from 'vitest'
import { agent } from '../../src/agents/agent.ts'
import {
  addPart,
  ClientError,
  createClient,
  type ClientOptions,
  type QueueStorage,
  type StreamPart,
} from '../../src/client/index.ts'
import type { CloudEvent } from '../../src/event.ts'
import { model } from '../../src/models/model.ts'
import type { RunningApp } from '../../src/runtime/start.ts'
import { freePort } from '../../src/testing/ports.ts'
import { collect, until } from '../../src/testing/wait.ts'
import { launch } from '../lib/cli.ts'
import { Pen } from '../lib/pen.ts'
import { onEveryBus, type World } from '../lib/world.ts'

/* The client of the gateway, as a browser runs it, in Node. */

const doubler = agent('doubler', { run: (_, n: number) => n * 2 })
const sleeper = agent('sleeper', {
  waitsFor: ['agent.message'],
  run: ctx => ctx.waitFor('agent.message', { within: '1h' }),
})

/** A client whose requests `running` answers, without a port. `send` may interfere. */
function clientOf(running: RunningApp, options: Partial<ClientOptions> = {}) {
  const client = createClient({
    url: 'http://shop.example/api',
    fetch: (url, init) => running.fetch(new Request(url.replace('/api', ''), init)),
    ...options,
  })
  onTestFinished(() => client.close())
  return client
}

/** A gateway in a process of its own, to be killed. */
async function startGateway({ place }: World, port: number) {
  const app = join(import.meta.dirname, '../lib/ask-app.ts')
  const gateway = launch(place, ['run', app, '--only', 'gateway', '--json'], ['env', `TIDINGS_PORT=${port}`])
  onTestFinished(() => void gateway.kill('SIGKILL'))
  for await (const line of createInterface(gateway.stdout)) if (line.includes('"ready"')) break
  return gateway
}

function writerAnd(...use: ReturnType<typeof agent>[]) {
  const pen = new Pen()
  return { pen, use: [agent('writer', { model: model(pen.model), instructions: 'Write.' }), ...use] }
}

const textOf = (parts: readonly StreamPart[]) => parts.map(part => (part.type === 'text' ? part.text : '')).join('')
const ofType = async ({ bus }: RunningApp, type: string): Promise<CloudEvent[]> =>
  (await collect(bus.read({ filter: [{ types: [type] }] }))).map(({ event }) => event)

class MemoryStorage implements QueueStorage {
  readonly entries = new Map<string, string>()
  get length() {
    return this.entries.size
  }
  key = (index: number) => [...this.entries.keys()][index] ?? null
  getItem = (key: string) => this.entries.get(key) ?? null
  setItem = (key: string, value: string) => void this.entries.set(key, value)
  removeItem = (key: string) => void this.entries.delete(key)
}

onEveryBus(world => {
  it('loses and repeats nothing while its gateway is killed and started again', async () => {
    const created = await world()
    const { pen, use } = writerAnd()
    const worker = await created.worker({ use })
    const port = await freePort()
    const gateway = await startGateway(created, port)
    const client = createClient({ url: `http://127.0.0.1:${port}` })
    onTestFinished(() => client.close())

    const done = new AbortController()
    const seen: unknown[] = []
    const counting = (async () => {
      for await (const { event } of client.stream({ type: 'count.made', after: '0', signal: done.signal }))
        seen.push(event.data)
    })()
    const task = await client.ask<string>('writer', 'A story, please.')
    let parts: readonly StreamPart[] = []
    const pieces: string[] = []
    const reading = (async () => {
      for await (const part of task.stream()) {
        if (part.type === 'text') pieces.push(part.text)
        parts = addPart(parts, part)
      }
    })()

    const sheet = await pen.sheet()
    sheet.write('Once upon ')
    await until(() => textOf(parts) === 'Once upon ')
    const published: Promise<unknown>[] = []
    for (let n = 0; n < 60; n++) published.push(client.publish('count.made', n))
    await until(() => seen.length > 0)
    gateway.kill('SIGKILL')
    await once(gateway, 'exit')
    for (let n = 60; n < 100; n++) published.push(client.publish('count.made', n))
    sheet.write('a time there ')
    await startGateway(created, port)
    await until(() => textOf(parts) === 'Once upon a time there ')
    sheet.write('was a tide.')
    sheet.end()
    const result = task.result()
    await Promise.all([...published, reading])
    await until(() => seen.length >= 100)

    const [{ data }] = (await ofType(worker, 'model.result')) as [CloudEvent<{ text: string }>]
    expect(textOf(parts)).toBe(data.text)
    expect(pieces.join('')).toBe(data.text)
    expect(await result).toBe(data.text)
    expect(seen).toEqual(Array.from({ length: 100 }, (_, n) => n))
    expect(client.waiting).toBe(0)
    expect(await ofType(worker, 'count.made')).toHaveLength(100)
    done.abort()
    await counting
  })

  it('asks, says and publishes once, although answers are lost', async () => {
    const running = await (await world()).worker({ use: [doubler, sleeper] })
    let lost = 0
    const client = clientOf(running, {
      fetch: async (url, init) => {
        const response = await running.fetch(new Request(url.replace('/api', ''), init))
        if (init.method !== 'POST' || lost++ % 2 === 1) return response
        throw new TypeError('fetch failed')
      },
    })
    const doubled = await client.ask<typeof doubler>('doubler', 21)
    const output: number = await doubled.result()
    expect(output).toBe(42)
    // @ts-expect-error the agent takes a number
    void (() => client.ask<typeof doubler>('doubler', 'x'))
    const task = await client.ask<{ data: unknown }>('sleeper', null)
    await until(async () => (await task.state()).status === 'running')
    await task.say('wake up')
    expect(await task.result()).toEqual({ message: 'wake up' })
    const { id, correlationid } = await client.publish('order.paid', { order: 'A-17' }, { subject: 'A-17' })
    expect(lost).toBe(8)
    expect(await ofType(running, 'agent.invoke')).toHaveLength(2)
    expect(await ofType(running, 'agent.message')).toHaveLength(1)
    expect(await ofType(running, 'order.paid')).toMatchObject([{ id, correlationid, subject: 'A-17' }])
  })

  it('keeps what it publishes while offline, also over a reload, in order', async () => {
    const running = await (await world()).worker({ use: [] })
    const storage = new MemoryStorage()
    const first = clientOf(running, { storage, fetch: () => Promise.reject(new TypeError('offline')) })
    const promises = [1, 2, 3].map(n => first.publish('count.made', n))
    const broken = first.publish('Not a type', null)
    expect(first.waiting).toBe(4)
    first.close()
    for (const promise of [...promises, broken]) await expect(promise).rejects.toMatchObject({ code: 'E_BUS_CLOSED' })

    const refused: unknown[] = []
    const options = { storage, onRefused: (...args: unknown[]) => void refused.push(args) }
    // Two pages at the same time.
    const [second, third] = [clientOf(running, options), clientOf(running, options)]
    await second.publish('count.made', 4)
    await until(() => storage.length === 0 && third.waiting === 0)
    expect((await ofType(running, 'count.made')).map(({ data }) => data)).toEqual([1, 2, 3, 4])
    expect(refused[0]).toMatchObject([{ type: 'Not a type' }, { code: 'E_EVENT_INVALID', status: 400 }])
  })

  it('ends a stream by its signal, cancels tasks, and throws the errors of the gateway and of tasks', async () => {
    const running = await (await world()).worker({ use: [sleeper] })
    const client = clientOf(running)
    const unknown = client.ask('nobody', 1)
    await expect(unknown).rejects.toBeInstanceOf(ClientError)
    await expect(unknown).rejects.toMatchObject({ code: 'E_NOT_FOUND', status: 404, next: expect.any(String) })
    await expect(client.stream({ after: 'x' }).next()).rejects.toMatchObject({ code: 'E_REQUEST_INVALID' })
    await expect(client.approvals()).rejects.toMatchObject({ code: 'E_CREDENTIAL_UNKNOWN', status: 403 })

    const task = await client.ask('sleeper', null)
    const abort = new AbortController()
    const types: string[] = []
    for await (const { event, cursor } of client.stream({ task: task.id, signal: abort.signal })) {
      types.push(event.type)
      expect(cursor).toEqual(expect.any(String))
      abort.abort()
    }
    expect(types).toHaveLength(1)
    await task.cancel('enough')
    await expect(task.result()).rejects.toMatchObject({ code: 'E_TASK_CANCELLED' })
    await expect(collect(task.stream())).rejects.toMatchObject({ code: 'E_TASK_CANCELLED' })
    await expect(task.say('hello')).rejects.toMatchObject({ code: 'E_TASK_ENDED', status: 409 })
  })
})
