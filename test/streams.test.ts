import { randomUUID, randomUUIDv7 } from 'node:crypto'
import fc from 'fast-check'
import { WebSocket } from 'ws'
import { describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import type { Bus } from '../src/bus/bus.ts'
import { isTaskDerivedId, shardOf } from '../src/bus/ids.ts'
import type { CloudEvent } from '../src/event.ts'
import { startGateway } from '../src/gateway/gateway.ts'
import { anyone, type Principal } from '../src/gateway/identity/principal.ts'
import type { StreamQuery } from '../src/gateway/streams/stream-request.ts'
import { Streams } from '../src/gateway/streams/streams.ts'
import { agent, by, on, tool, workflow } from '../src/index.ts'
import { openBus } from '../src/runtime/environment.ts'
import { Bus as PlainBus } from '../src/bus/bus.ts'
import { MemoryDriver } from '../src/testing/memory/driver.ts'
import { MemoryLog } from '../src/testing/memory/log.ts'
import { collect, until } from '../src/testing/wait.ts'
import { pullStream, type StreamMessage } from './lib/pulled-stream.ts'
import { type ReadStream, readSocket, readSse } from './lib/stream-client.ts'
import { onEveryBus, type World } from './lib/world.ts'

const upTo = (count: number) => Array.from({ length: count }, (_, n) => n)
const retention = { maxAgeMs: 0, maxLag: 1_000_000 }

/** A process of its own, as far as the log is concerned. */
async function openGateway(log: World) {
  const bus = await openBus(log.place)
  let gateway = await startGateway({ bus, port: 0 })
  const { port, url } = gateway
  onTestFinished(async () => {
    await gateway.stop()
    await bus.close()
  })
  const restart = async () => {
    await gateway.stop()
    gateway = await startGateway({ bus, port })
  }
  return { bus, url, restart }
}

/** Streams of this process, without HTTP, for any principal. */
function openStreams(bus: Bus) {
  const streams = new Streams({ bus, heartbeatIntervalMs: 50 })
  onTestFinished(() => streams.close())
  return (query: StreamQuery, principal: Principal = anyone) => {
    const abort = new AbortController()
    onTestFinished(() => abort.abort())
    return new Pulled(pullStream(streams, query, principal, abort.signal))
  }
}

class Pulled {
  readonly messages: StreamMessage[] = []
  readonly #source: AsyncGenerator<StreamMessage>

  constructor(source: AsyncGenerator<StreamMessage>) {
    this.#source = source
  }

  get events() {
    return this.messages.flatMap(({ event }) => event ?? [])
  }

  get types() {
    return this.events.map(({ type }) => type)
  }

  async pull(count = 1): Promise<this> {
    while (count-- > 0) {
      const { value, done } = await this.#source.next()
      if (done) return this
      this.messages.push(value)
    }
    return this
  }

  /** Pulls until an event of this type has come. */
  async pullTo(type: string): Promise<this> {
    while (!this.types.includes(type)) {
      const { length } = this.messages
      if ((await this.pull()).messages.length === length) throw new Error(`the stream ended without ${type}`)
    }
    return this
  }

  pullAll(): this {
    void this.pull(Infinity).catch(() => {})
    return this
  }
}

const add = tool('add', { description: 'Adds.', input: z.any(), run: () => 1 })
const clerk = agent('clerk', {
  on: 'order.placed',
  run: async (ctx, { order }: { order: string }) => {
    await ctx.call(add, {})
    ctx.emit({ type: 'order.booked', data: { order } })
  },
})
const day = workflow('day', { key: [by('order.booked', e => e.order)], within: '1h' })
  .when('booked', on('order.booked').as('booked'), { within: '1h' })
  .call('added', add, () => ({}), { within: '1m' })
  .complete(s => s.booked.order)

onEveryBus(world => {
  describe('streams', () => {
    it('are resumed anywhere: what clients get over two gateways, with cuts and restarts, is what is stored, once', async () => {
      const log = await world()
      const gateways = [await openGateway(log), await openGateway(log)]
      const { bus } = gateways[0]!
      const total = 400
      const correlations = [randomUUIDv7(), randomUUIDv7()]
      const users = ['ann', 'bob']
      const published: CloudEvent[] = []
      const publishing = (async () => {
        for (let n = 0; n < total; n += 10) {
          const drafts = upTo(10).map(i => ({
            id: `n${n + i}`,
            type: i % 3 === 0 ? 'count.third' : 'count.made',
            user: users[i % 2]!,
            correlationid: i % 5 === 0 ? correlations[i % 2]! : randomUUIDv7(),
            data: { n: n + i, filler: 'x'.repeat(i * 200) },
          }))
          await bus.publishAll(drafts)
          published.push(...(drafts as unknown as CloudEvent[]))
          if (n % 100 === 90) await gateways[(n / 10) % 2]!.restart()
        }
      })()
      const clients: { query: string; read: ReadStream; wants(event: CloudEvent): boolean }[] = [
        { query: 'user=ann', read: readSse, wants: ({ user }) => user === 'ann' },
        {
          query: 'user=bob&type=count.made',
          read: readSocket,
          wants: e => e.user === 'bob' && e.type === 'count.made',
        },
        { query: 'type=count.*', read: readSocket, wants: () => true },
        { query: `correlation=${correlations[0]}`, read: readSse, wants: e => e.correlationid === correlations[0] },
        {
          query: `correlation=${correlations[1]}&user=bob`,
          read: readSocket,
          wants: e => e.correlationid === correlations[1],
        },
      ]
      const cuts = fc.sample(fc.integer({ min: 1, max: 60 }), { numRuns: 200, seed: Date.now() })
      await Promise.all(
        clients.map(async ({ query, read, wants }) => {
          const got: string[] = []
          let cursor = '0'
          for (let round = 0; ; round++) {
            let left = cuts[round % cuts.length]!
            const { url } = gateways[cuts[(round + 7) % cuts.length]! % 2]!
            const isComplete = () => published.length === total && got.length >= published.filter(wants).length
            if (isComplete()) break
            await read(url, `${query}&after=${cursor}`, (at, event) => {
              cursor = at
              if (event) got.push(event.id)
              if (event) left--
              return left <= 0 || isComplete()
            }).catch(() => {})
          }
          const expected = published.filter(wants).map(({ id }) => id)
          expect(got.toSorted()).toEqual(expected.toSorted())
        }),
      )
      await publishing
    })

    it('begin with an error, or end with one, if retention has removed what they should send next', async () => {
      const log = await world()
      const { bus, url } = await openGateway(log)
      const correlationid = randomUUIDv7()
      const publish = (count: number) =>
        bus.publishAll(
          upTo(count).map(n => ({ type: 'count.made', correlationid, data: { n, filler: 'x'.repeat(7_000) } })),
        )
      const stream = openStreams(bus)
      await publish(3)
      const first = await stream({ after: '0' }).pull(2)
      const { cursor } = first.messages[1]!
      await publish(600)
      // A reader that is slower than retention: it has a part of them, and the rest was not read yet.
      const slow = await stream({ after: '0' }).pull(1)
      const slowOfOne = await stream({ correlation: correlationid }).pull(1)
      await until(async () => (await bus.purge(retention)).events === 0)
      await bus.publish({ type: 'last.made', correlationid, data: {} })
      for (const reader of [slow, slowOfOne]) {
        await expect(reader.pullTo('last.made')).rejects.toMatchObject({ code: 'E_CURSOR_EXPIRED' })
        const numbers = reader.events.map(({ data }) => (data as { n: number }).n)
        expect(numbers.length).toBeLessThan(603)
        expect(numbers).toEqual([...upTo(3), ...upTo(600)].slice(0, numbers.length))
      }

      const refused = await fetch(`${url}/events/stream?after=${cursor}`)
      expect(refused.status).toBe(410)
      const { error } = (await refused.json()) as { error: { code: string; next: string; data: { horizon: string } } }
      expect([refused.status, error]).toMatchObject([410, { code: 'E_CURSOR_EXPIRED', next: expect.any(String) }])
      await expect(stream({ after: cursor!, user: 'ann' }).pull()).rejects.toMatchObject({ code: 'E_CURSOR_EXPIRED' })
      const socket = new WebSocket(`${url.replace('http', 'ws')}/events/socket?after=${cursor}`)
      const closed = new Promise<number>(resolve => socket.on('close', resolve))
      expect(await closed).toBe(4410)

      const [next] = await publish(1)
      for (const after of [error.data.horizon, '0']) {
        const goesOn = await stream({ after, types: ['count.made'] }).pullTo('count.made')
        expect(goesOn.events).toMatchObject([{ data: { n: 0 } }])
      }
      expect(next!.position.offset).toBeGreaterThan(603)
    })

    it('of a user carry all that happens for this user, over agents, tools and workflows, and nothing else', async () => {
      const log = await world()
      const worker = await log.worker({ use: [clerk, add, day] }, { only: ['agents', 'tools', 'models'] })
      const { bus } = worker
      const stream = openStreams(bus)
      const live = (await stream({ user: 'ann' }).pull()).pullAll()
      const turns = (await stream({ user: 'ann', types: ['task.>', 'agent.>'] }).pull()).pullAll()
      for (const user of ['ann', 'bob']) await bus.publish({ type: 'order.placed', user, data: { order: user } })
      const ofAnn = async () =>
        (await collect(bus.read({}))).map(({ event }) => event).filter(({ user }) => user === 'ann')
      const hasEnded = (events: readonly CloudEvent[]) =>
        events.filter(({ type }) => type === 'agent.task.completed').length === 2
      await until(async () => hasEnded(await ofAnn()), { within: 20_000 })
      const stored = await ofAnn()
      expect(new Set(stored.map(({ correlationid }) => correlationid)).size).toBe(2)
      const shown = stored.filter(({ type }) => type !== 'task.turn')
      const ids = (events: readonly CloudEvent[]) => events.map(({ id }) => id).toSorted()
      await until(() => live.events.length >= shown.length)
      expect(ids(live.events)).toEqual(ids(shown))
      const late = stream({ user: 'ann', after: '0' }).pullAll()
      await until(() => late.events.length >= shown.length)
      expect(ids(late.events)).toEqual(ids(shown))
      expect(live.types).toEqual(
        expect.arrayContaining(['order.placed', 'tool.result', 'order.booked', 'workflow.event']),
      )
      await until(() => turns.types.includes('task.turn'))

      const task = stored.find(({ type }) => type === 'task.turn')!.id.split(':')[0]!
      const ofTask = stream({ task }).pullAll()
      await until(() => ofTask.types.includes('agent.task.completed'))
      expect(ofTask.events.every(({ id }) => isTaskDerivedId(id) && id.startsWith(task))).toBe(true)
      expect(ofTask.types).toEqual(expect.arrayContaining(['tool.invoke', 'tool.result', 'order.booked']))
    })

    it('show a principal only events of its tenant that it may read, whatever they are asked for', async () => {
      const log = await world()
      const { bus } = await openGateway(log)
      const stream = openStreams(bus)
      const acme: Principal = { tenant: 'acme', may: () => true }
      const reader: Principal = { tenant: 'acme', may: (_, type) => type === undefined || type.startsWith('order.') }
      const nothing: Principal = { tenant: 'acme', may: () => false }
      const correlationid = randomUUIDv7()
      const drafts = ['acme', 'other'].flatMap(tenant =>
        ['order.placed', 'secret.made'].map(type => ({ type, tenant, user: 'ann', correlationid, data: { tenant } })),
      )
      await bus.publishAll(drafts)
      const queries: StreamQuery[] = [{ after: '0' }, { after: '0', user: 'ann' }, { correlation: correlationid }]
      const readers = queries.flatMap(query => [
        { pulled: stream(query, acme).pullAll(), types: ['order.placed', 'secret.made'] },
        { pulled: stream(query, reader).pullAll(), types: ['order.placed'] },
      ])
      await until(() => readers.every(({ pulled, types }) => pulled.events.length >= types.length))
      await bus.publishAll(drafts)
      await until(() => readers.every(({ pulled, types }) => pulled.events.length >= 2 * types.length))
      for (const tenant of ['other', 'acme'])
        bus.signal({ type: 'order.told', tenant, user: 'ann', correlationid, data: { tenant } })
      await until(() => readers.every(({ pulled }) => pulled.messages.some(({ signal }) => signal)))
      for (const { pulled, types } of readers) {
        expect(pulled.types).toEqual([...types, ...types])
        expect(new Set([...pulled.events, ...pulled.messages.flatMap(({ signal }) => signal ?? [])].map(({ tenant }) => tenant))).toEqual(new Set(['acme'])) // biome-ignore format: one line
      }
      let isRevoked = false
      const revoked = await stream({}, { ...acme, hasEnded: () => isRevoked }).pull()
      isRevoked = true
      await expect(revoked.pull(10)).rejects.toMatchObject({ code: 'E_CREDENTIAL_UNKNOWN' })
      await expect(stream({}, nothing).pull()).rejects.toMatchObject({ code: 'E_FORBIDDEN', status: 403 })
    })
  })
})

describe('text in flight', () => {
  it('comes to streams that join late from its beginning, once and in order, until it is on the log', async () => {
    const bus = new PlainBus(new MemoryDriver(new MemoryLog()))
    const stream = openStreams(bus)
    const correlationid = '0199a0b0-0000-7000-8000-000000000001'
    const call = `${correlationid}.0123456789:0000001:0`
    const attributes = { correlationid, subject: call, user: 'ann' }
    const send = (offset: number, text: string) =>
      bus.signal({ type: 'model.delta', ...attributes, data: { attempt: 'a', offset, part: 0, kind: 'text', text } })
    const textOf = ({ messages }: Pulled) =>
      messages.map(({ signal }) => (signal?.data as { offset: number; text: string } | undefined)?.text ?? '').join('')
    const queries: StreamQuery[] = [{ user: 'ann' }, { correlation: correlationid }, { types: ['model.*'] }]
    const others: StreamQuery[] = [{ user: 'bob' }, { types: ['order.*'] }]
    const join = () => Promise.all([...queries, ...others].map(async query => (await stream(query).pull()).pullAll()))
    const early = await join()
    await until(() => {
      send(0, 'one ')
      return early.slice(0, 3).every(each => textOf(each) === 'one ')
    })
    send(4, 'two ')
    const late = await join()
    await until(() => late.slice(0, 3).every(each => textOf(each) === 'one two '))
    send(8, 'three')
    const all = [...early.slice(0, 3), ...late.slice(0, 3)]
    await until(() => all.every(each => textOf(each) === 'one two three'))
    await bus.publish({ type: 'model.result', correlationid, user: 'ann', call, data: { text: 'one two three' } })
    await until(() => all.every(({ types }) => types.includes('model.result')))
    const after = (await stream({ user: 'ann' }).pull()).pullAll()
    await bus.publish({ type: 'count.made', user: 'ann', data: null })
    await until(() => after.types.includes('count.made'))
    for (const each of [after, ...early.slice(3), ...late.slice(3)]) expect(textOf(each)).toBe('')
  })
})

describe('streams of a log with the most partitions', () => {
  it('have cursors of at most 2 KB, and those of one correlation name one partition', async () => {
    const bus = new PlainBus(new MemoryDriver(new MemoryLog({ partitions: 256, shards: 256 })))
    const stream = openStreams(bus)
    await bus.publishAll(upTo(2_000).map(n => ({ type: 'count.made', correlationid: randomUUID(), data: { n } })))
    const correlation = '0199a0b0-0000-7000-8000-000000000001'
    const all = await stream({ after: '0' }).pull(2_001)
    const cursors = all.messages.map(({ cursor }) => cursor!)
    expect(Math.max(...cursors.map(({ length }) => length))).toBeLessThanOrEqual(2_048)
    for (const at of [1, 1_000, 1_999]) {
      const resumed = await stream({ after: cursors[at]! }).pull(2_001 - at)
      expect(resumed.events.length).toBe(2_000 - at)
      expect(resumed.events).toEqual(all.events.slice(at))
    }
    await bus.publishAll(upTo(3).map(n => ({ type: 'count.made', correlationid: correlation, data: { n } })))
    const one = await stream({ correlation }).pull(4)
    const partition = shardOf(correlation, 256).toString(36)
    for (const { cursor } of one.messages.slice(1)) expect(cursor).toMatch(new RegExp(`^~${partition}-[0-9a-z]+$`))
    const rest = await stream({ correlation, after: one.messages[2]!.cursor! }).pull(2)
    expect(rest.events).toEqual(one.events.slice(2))
  })
})
