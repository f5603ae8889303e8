import { randomUUIDv7 } from 'node:crypto'
import { expect, onTestFinished, test } from 'vitest'
import { MemoryDriver } from '../src/testing/memory/driver.ts'
import { MemoryLog } from '../src/testing/memory/log.ts'
import { Bus } from '../src/bus/bus.ts'
import type { CloudEvent } from '../src/event.ts'
import { startGateway } from '../src/gateway/gateway.ts'
import { agent, app, by, on, start, tool, workflow } from '../src/index.ts'
import { collect, until } from '../src/testing/wait.ts'
import { withIndex, inMemory } from '../src/trace/index/open.ts'
import { render } from '../src/trace/render.ts'
import { traceOf } from '../src/trace/trace.ts'
import { whyOf } from '../src/trace/why.ts'
import { z } from 'zod'

/*
 * What the layers above a driver make of several partitions. The driver in memory reads one partition after the other, so that
 * nothing here can depend on an order across partitions.
 */

const openBus = () => new Bus(new MemoryDriver(new MemoryLog({ partitions: 3 })))

async function openGateway(bus: Bus): Promise<string> {
  const gateway = await startGateway({ bus, port: 0 })
  const { url } = gateway
  onTestFinished(() => gateway.stop())
  return url
}

interface Message {
  readonly id: string
  readonly event: CloudEvent<{ n: number }>
}

/** Reads a stream until it has sent so many events, or says why not. */
async function readStream(url: string, query: string, after: string | undefined, count: number): Promise<Message[]> {
  if (count === 0) return []
  const abort = new AbortController()
  const headers = after === undefined ? {} : { 'last-event-id': after }
  const response = await fetch(`${url}/events/stream${query}`, { headers, signal: abort.signal })
  expect(response.status).toBe(200)
  const messages: Message[] = []
  let rest = ''
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    const blocks = (rest + chunk).split('\n\n')
    rest = blocks.pop()!
    for (const block of blocks) {
      const [, id, data] = /^id: (.*)\ndata: (.*)$/m.exec(block) ?? []
      if (id !== undefined && messages.length < count) messages.push({ id, event: JSON.parse(data!) })
    }
    if (messages.length === count) break
  }
  abort.abort()
  return messages
}

const numbered = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => ({
    type: 'count.made',
    correlationid: randomUUIDv7(),
    data: { n: from + i },
  }))

test('a stream that is resumed at any of its ids loses and repeats nothing, while others publish', async () => {
  const bus = openBus()
  const url = await openGateway(bus)
  await bus.publishAll(numbered(0, 60))
  const total = 400
  const publishing = (async () => {
    for (let n = 60; n < total; n += 5) {
      await bus.publishAll(numbered(n, n + 5))
      await new Promise(resolve => setTimeout(resolve, 2))
    }
  })()
  // Several clients with other paces share the reader of the gateway.
  const seen = await Promise.all(
    [1, 7, 23, 60].map(async pace => {
      const numbers: number[] = []
      let after = '0'
      while (numbers.length < total) {
        const messages = await readStream(url, '', after, Math.min(pace * 3, total - numbers.length))
        numbers.push(...messages.map(({ event }) => event.data.n))
        after = messages.at(-1)!.id
      }
      return numbers
    }),
  )
  await publishing
  for (const numbers of seen)
    expect(numbers.toSorted((a, b) => a - b)).toEqual(Array.from({ length: total }, (_, n) => n))
})

test('clients that are ahead of the shared reader get ids that cover what they have seen', async () => {
  const bus = openBus()
  const url = await openGateway(bus)
  const beginners = readStream(url, '', '0', 300)
  await bus.publishAll(numbered(0, 100))
  const head = await bus.head()
  const ahead = readStream(url, '', head, 20)
  for (let n = 100; n < 300; n += 10) await bus.publishAll(numbered(n, n + 10))
  const first = await ahead
  const rest = await readStream(url, '', first.at(-1)!.id, 180)
  const numbers = [...first, ...rest].map(({ event }) => event.data.n)
  expect(numbers.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 200 }, (_, n) => 100 + n))
  expect(await beginners).toHaveLength(300)
})

const double = tool('double', { description: '2 n', input: z.object({ n: z.number() }), run: ({ n }) => 2 * n })
const clerk = agent('clerk', {
  on: 'order.placed',
  run: async (ctx, order: { n: number }) => {
    ctx.emit({ type: 'order.booked', data: { sum: await ctx.call(double, order), word: `word${order.n}` } })
  },
})

test('trace, why and search find everything of each correlation, also after a purge', async () => {
  const running = await start(app({ use: [clerk, double] }), {
    driver: new MemoryDriver(new MemoryLog({ partitions: 3 })),
    only: ['agents', 'tools'],
  })
  onTestFinished(() => running.stop())
  const { bus } = running
  const published = await bus.publishAll(
    Array.from({ length: 12 }, (_, n) => ({ type: 'order.placed', correlationid: randomUUIDv7(), data: { n } })),
  )
  await until(async () => (await collect(bus.read({ filter: [{ types: ['agent.task.completed'] }] }))).length === 12)
  const partitions = new Set(published.map(({ position }) => position.partition))
  expect(partitions.size).toBeGreaterThan(1)
  await withIndex(bus, inMemory, async index => {
    expect(index.actions(100)).toHaveLength(12)
    expect(index.tasks({ limit: 100 }).map(({ state }) => state)).toEqual(Array.from({ length: 12 }, () => 'completed'))
    for (const [n, { correlationid }] of published.entries()) {
      const text = render(await traceOf(bus, correlationid, each => index.positionsOf(each)), 120).join('\n')
      for (const part of ['order.placed', 'clerk', 'double', 'order.booked']) expect(text).toContain(part)
      const [position] = index.search(`word${n}`, { type: 'order.booked', limit: 10 })
      const { reasons } = await whyOf(bus, index, position!)
      expect(reasons.map(({ event }) => event.type)).toEqual(expect.arrayContaining(['order.booked', 'order.placed']))
      expect(reasons.at(-1)!.event.correlationid).toBe(correlationid)
    }
  })
  await until(async () => (await bus.listGroups()).every(({ lag }) => lag === 0))
  await bus.purge({ maxAgeMs: -1_000, maxLag: 1_000_000 })
  await withIndex(bus, inMemory, index => expect(index.actions(100)).toEqual([]))
})

const order = workflow('order', { key: [by('item.added', e => e.order)], within: '1h' })
  .when('added', on('item.added').as('added'), { within: '1h' })
  .emit('order.begun', s => ({ order: s.added.order }))
  .complete(s => s.added.order)

test('a stream of a correlation and its linked instances can be resumed at each of its ids', async () => {
  const running = await start(app({ use: [order] }), {
    driver: new MemoryDriver(new MemoryLog({ partitions: 3 })),
    only: ['agents', 'gateway'],
    port: 0,
  })
  onTestFinished(() => running.stop())
  const { bus } = running
  const url = running.addresses[0]!
  const correlationid = randomUUIDv7()
  const items = Array.from({ length: 20 }, (_, n) => ({ type: 'item.added', correlationid, data: { order: `o${n}` } }))
  await bus.publishAll(items)
  await until(async () => (await collect(bus.read({ filter: [{ types: ['agent.task.completed'] }] }))).length === 20)
  const partitions = (await collect(bus.read({}))).map(({ position }) => position.partition)
  expect(new Set(partitions).size).toBe(3)

  const query = `?correlation=${correlationid}&type=item.added&type=order.begun`
  const all = await readStream(url, query, undefined, 40)
  const ids = all.map(({ event }) => event.id)
  expect(new Set(ids).size).toBe(40)
  for (const [n, { id }] of all.entries()) {
    const rest = await readStream(url, query, id, 39 - n)
    expect(rest.map(({ event }) => event.id).toSorted()).toEqual(ids.slice(n + 1).toSorted())
  }
})
