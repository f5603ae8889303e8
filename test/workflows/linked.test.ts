import { describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { by, event, on, webhook, workflow } from '../../src/index.ts'
import type { CloudEvent } from '../../src/event.ts'
import { until } from '../../src/testing/wait.ts'
import { tool } from '../../src/tools/tool.ts'
import { tidings } from '../lib/cli.ts'
import { eventsOf, onAnyBus, type World } from '../lib/world.ts'

const note = tool('note', { description: 'Notes.', input: z.any(), run: () => 'noted' })

/** An order is placed under one correlation and paid under another one; both feed one instance, which reports to the day's. */
const order = workflow('order', {
  key: [by('order.placed', e => e.order), by('order.paid', e => e.order)],
  within: '1h',
})
  .when('placed', on('order.placed').as('placed'), { within: '1h' })
  .call('first', note, s => ({ order: s.placed.order }), { within: '1m' })
  .when('paid', on('order.paid').as('payment'), { within: '1h' })
  .call('second', note, s => ({ order: s.placed.order }), { within: '1m' })
  .emit('order.done', s => ({ day: s.payment.day }))
  .complete(s => s.placed.order)
const day = workflow('day', { key: [by('order.done', e => e.day)], within: '1h' })
  .when('done', on('order.done').as('done'), { within: '1h' })
  .complete(s => s.done.day)

const only = ['agents', 'tools', 'models', 'gateway'] as const

onAnyBus(world => {
  async function begin() {
    const log = await world()
    const worker = await log.worker({ use: [order, day, note] }, { only, port: 0 })
    const [url] = worker.addresses
    const post = async (type: string, data: unknown) => {
      const response = await fetch(`${url}/events`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ type, data }),
      })
      expect(response.status).toBe(202)
      return (await response.json()) as { correlationid: string; ids: string[]; linked?: string[] }
    }
    const happened = (correlation: string, type: string) =>
      until(async () => (await eventsOf(worker, correlation)).find(event => event.type === type), { within: 10_000 })
    return { log, worker, url: url!, post, happened }
  }

  describe('an instance with a key and the correlations that fed it', () => {
    it('are named by the answer, and shown by the trace of either', async () => {
      const { log, post, happened } = await begin()
      const placed = await post('order.placed', { order: 'A' })
      expect(placed.linked).toHaveLength(1)
      const [instance] = placed.linked as [string]
      await happened(instance, 'tool.result')
      const paid = await post('order.paid', { order: 'A', day: 'monday', text: 'x'.repeat(20_000) })
      expect(paid.linked).toEqual([instance])
      expect((await post('order.shipped', { order: 'A' })).linked).toBeUndefined()
      await happened(instance, 'agent.task.completed')
      const [days] = (await post('order.done', { day: 'monday' })).linked as [string]

      const shown = await lines(log, placed.correlationid)
      expect(shown[1]).toMatch(/^order\.placed .*\/gateway/)
      expect(shown[2]).toMatch(/^└─ workflow\.event/)
      expect(shown[2]).toContain(`[correlation ${instance}]`)
      expect(shown.join('\n')).not.toContain(paid.correlationid)
      expect(shown.filter(line => line.includes('workflow order'))).toHaveLength(1)
      expect(shown.filter(line => line.includes('tool note'))).toHaveLength(2)
      // Also what the instance fed.
      expect(shown.find(line => line.includes(`[correlation ${days}]`))).toContain('workflow.event')

      const later = await lines(log, paid.correlationid)
      expect(later[2]).toContain(`[correlation ${instance}]`)
      expect(later.findIndex(line => line.includes('workflow order'))).toBe(3)

      const own = await lines(log, instance)
      for (const { correlationid } of [placed, paid])
        expect(own.filter(line => line.includes(`[from correlation ${correlationid}]`))).toHaveLength(1)
      const json = await tidings(log.place, ['trace', instance, '--json'])
      const records = json.stdout.trim().split('\n').map(line => JSON.parse(line) as { type?: string; from?: string }) // biome-ignore format: short
      expect(records.filter(({ type }) => type === 'workflow.event').map(({ from }) => from)).toEqual(
        expect.arrayContaining([placed.correlationid, paid.correlationid]),
      )
    })

    it('are named by the answer to a webhook', async () => {
      const log = await world()
      const shop = event('order.placed', z.object({ order: z.string() }))
      const hook = webhook({
        port: 0,
        endpoints: { shop: { scheme: 'none', publishes: [shop], type: () => shop.type } },
      })
      const worker = await log.worker({ use: [order, note, hook] }, { only: ['agents', 'tools', 'triggers'] })
      const response = await fetch(`${worker.addresses[0]}/shop`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ order: 'A' }),
      })
      const placed = (await response.json()) as { id: string; linked: string[] }
      const instance = await until(async () => {
        for await (const { event } of worker.bus.read({ filter: [{ types: ['workflow.event'] }] })) return event
        return undefined
      })
      expect(instance.causationid).toBe(placed.id)
      expect(placed).toMatchObject({ linked: [instance.correlationid] })
    })

    it('are one stream: what the instance does from then on, once and in order, from any position', async () => {
      const { worker, url, post, happened } = await begin()
      const other = await post('order.placed', { order: 'A' })
      const [instance] = other.linked as [string]
      await happened(instance, 'tool.result')
      const before = await eventsOf(worker, instance)
      // It is open before the instance is fed, so it is told what happens by the one reader of the log.
      const correlation = '0199a0b0-0000-7000-8000-000000000001'
      const live = await Stream.open(url, correlation)
      const large = 'x'.repeat(20_000)
      await worker.bus.publish({
        type: 'order.paid',
        correlationid: correlation,
        data: { order: 'A', day: 'tuesday', large },
      })
      await happened(instance, 'agent.task.completed')
      await until(() => live.types.includes('agent.task.completed'))

      const caughtUp = await Stream.open(url, correlation)
      await until(() => caughtUp.types.includes('agent.task.completed'))
      expect(caughtUp.ids).toEqual(live.ids)
      expect(live.types.slice(0, 2)).toEqual(['order.paid', 'workflow.event'])
      expect(live.types.filter(type => type === 'tool.invoke')).toHaveLength(1)
      expect(live.events.map(({ id }) => id)).not.toEqual(expect.arrayContaining([before[0]!.id]))
      expect(new Set(live.ids).size).toBe(live.ids.length)
      for (const [i, id] of live.ids.entries()) {
        const resumed = await Stream.open(url, correlation, id)
        await until(() => resumed.ids.length === live.ids.length - i - 1)
        expect(resumed.ids).toEqual(live.ids.slice(i + 1))
        resumed.leave()
      }
    })
  })
})

async function lines({ place }: World, correlation: string): Promise<string[]> {
  const { stdout } = await tidings(place, ['trace', correlation])
  return stdout.split('\n')
}

/** What a client of the stream gets, without signals. */
class Stream {
  readonly events: CloudEvent[] = []
  readonly ids: string[] = []
  readonly #abort = new AbortController()

  get types() {
    return this.events.map(({ type }) => type)
  }

  static async open(url: string, correlation: string, lastEventId?: string): Promise<Stream> {
    const stream = new Stream()
    onTestFinished(() => stream.leave())
    const response = await fetch(`${url}/events/stream?correlation=${correlation}`, {
      signal: stream.#abort.signal,
      headers: lastEventId === undefined ? {} : { 'last-event-id': lastEventId },
    })
    void stream.#read(response).catch(() => {})
    return stream
  }

  leave() {
    this.#abort.abort()
  }

  async #read(response: Response): Promise<void> {
    let rest = ''
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      const blocks = (rest + chunk).split('\n\n')
      rest = blocks.pop()!
      for (const block of blocks) {
        const [, id] = /^id: (\d+)$/m.exec(block) ?? []
        if (id === undefined || !block.includes('data: ')) continue
        this.ids.push(id)
        this.events.push(JSON.parse(/^data: (.*)$/m.exec(block)![1]!) as CloudEvent)
      }
    }
  }
}
