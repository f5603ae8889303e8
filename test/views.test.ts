import { expect, it } from 'vitest'
import { z } from 'zod'
import { agent } from '../src/agents/agent.ts'
import type { CloudEvent } from '../src/event.ts'
import type { Principal } from '../src/gateway/identity/principal.ts'
import { model } from '../src/models/model.ts'
import { matchesType } from '../src/pattern.ts'
import { tool } from '../src/tools/tool.ts'
import { buildTraceTree } from '../src/trace/build-tree.ts'
import { withData } from '../src/trace/index/events.ts'
import { render } from '../src/trace/render.ts'
import type { Row } from '../src/trace/slim.ts'
import { needsData } from '../src/trace/trace.ts'
import { plainModel } from './lib/plain-model.ts'
import { collect } from '../src/testing/wait.ts'
import { ask, onAnyBus } from './lib/world.ts'

/* What a person sees of the log over HTTP: lists of rows, and details, within their tenant and what they may read. */

// biome-ignore lint/suspicious/noExplicitAny: answers are JSON
type Json = any

const halve = tool('halve', {
  description: 'Halves an even number.',
  input: z.object({ n: z.number() }),
  run: ({ n }) => {
    if (n % 2 === 1) throw new Error(`${n} is odd`)
    return n / 2
  },
})
const calculator = agent('calculator', {
  on: 'sum.asked',
  run: async (ctx, asked: { n: number; size?: number }) => {
    const half = await ctx.call(halve, { n: asked.n })
    return { half, text: 'x'.repeat(asked.size ?? 0) }
  },
})

const principal = (tenant: string, ...read: string[]): Principal => ({
  tenant,
  user: 'ann',
  may: (action, type) =>
    action === 'read' && (type === undefined ? read.length > 0 : read.some(each => matchesType(each, type))),
})

const plain = ({ body, headers }: Response) =>
  headers.get('content-encoding') === 'gzip' ? body!.pipeThrough(new DecompressionStream('gzip')) : body

onAnyBus(world => {
  const started = async () => {
    const { model: languageModel } = plainModel(() => 'high at noon')
    const chat = agent('chat', { model: model(languageModel), instructions: 'Chat.' })
    const running = await (await world()).worker({ use: [calculator, halve, chat] })
    const request = async (path: string, as: Principal = principal('default', '>'), headers = {}) => {
      const response = await running.fetchAs(as, new Request(`http://shop.example${path}`, { headers }))
      return {
        status: response.status,
        headers: response.headers,
        body: (await new Response(plain(response)).json()) as Json,
      }
    }
    const get = async (path: string, as?: Principal): Promise<Json> => (await request(path, as)).body
    const sum = (n: number, more: object = {}) =>
      ask(running, {
        type: 'sum.asked',
        data: { n, ...(more as { size?: number }) },
        ...('tenant' in more ? { tenant: 'acme' } : {}),
        user: `u${n}`,
      })
    return { running, chat, request, get, sum }
  }

  it('lists events as rows, newest first, page by page, by each of the filters', async () => {
    const { get, sum, running } = await started()
    const ends = [await sum(2), await sum(3), await sum(4)]
    await sum(6, { tenant: 'acme' })
    const stored = (await collect(running.bus.read({}))).map(({ event }) => event)
    const own = stored.filter(({ tenant, type }) => tenant === 'default' && type !== 'task.turn')
    const pages: Row[] = []
    let next: string | undefined
    do {
      const page = await get(`/events?limit=3${next === undefined ? '' : `&before=${next}`}`)
      pages.push(...page.events)
      next = page.next
    } while (next !== undefined)
    expect(pages.map(({ id }) => id).toSorted()).toEqual(own.map(({ id }) => id).toSorted())
    const times = pages.map(({ time }) => time)
    if (running.bus.partitions === 1) expect(pages.map(({ id }) => id)).toEqual(own.map(({ id }) => id).toReversed())
    else expect(times.length).toBe(own.length)
    expect(pages.find(({ type }) => type === 'sum.asked')).toMatchObject({ data: null, summary: '{"n":4}', bytes: 7 })
    const ids = async (query: string) => ((await get(`/events?${query}`)).events as Row[]).map(({ type }) => type)
    expect(await ids('type=sum.*')).toEqual(['sum.asked', 'sum.asked', 'sum.asked'])
    expect(await ids('type=task.turn&type=sum.asked&limit=1000')).toHaveLength(
      stored.filter(({ tenant, type }) => tenant === 'default' && ['task.turn', 'sum.asked'].includes(type)).length,
    )
    expect(await ids('failed=1')).toEqual(['agent.task.failed', 'tool.failed'])
    expect(await ids('user=u3&type=sum.asked')).toEqual(['sum.asked'])
    expect(await ids('source=/tools/halve')).toEqual(['tool.result', 'tool.failed', 'tool.result'])
    expect(await ids('source=/tools/halve&type=tool.failed')).toEqual(['tool.failed'])
    expect(await ids('source=/agents/calculator&type=task.turn')).toHaveLength(6)
    expect(await ids('text=odd&type=tool.*')).toEqual(['tool.failed'])
    expect(await ids('text=odd&type=tool.failed')).toEqual(['tool.failed'])
    expect(await ids(`correlation=${ends[1]!.correlationid}&type=sum.>`)).toEqual(['sum.asked'])
    expect(await ids(`task=${ends[0]!.id.slice(0, 47)}&type=tool.>`)).toEqual(['tool.result', 'tool.invoke'])
    expect(await ids('since=1h&until=1m')).toEqual([])
    expect(await get('/events?limit=x')).toMatchObject({ error: { code: 'E_REQUEST_INVALID', message: /limit/ } })
    expect(await get('/events?text=!!')).toMatchObject({
      error: { code: 'E_REQUEST_INVALID', message: /text: must have a word/ },
    })
    expect(await get('/events?before=x')).toMatchObject({ error: { code: 'E_REQUEST_INVALID' } })
    expect(await get('/tasks?before=x')).toMatchObject({ error: { code: 'E_REQUEST_INVALID' } })
    const head = await running.fetch(new Request('http://shop.example/events?limit=1', { method: 'HEAD' }))
    expect([head.status, await head.text()]).toEqual([200, ''])
    expect(await get('/events?color=red')).toMatchObject({ error: { code: 'E_REQUEST_INVALID' } })
  })

  it('says what an id or the end of one names, of the own tenant only', async () => {
    const { request, sum } = await started()
    const own = await sum(2)
    const foreign = await sum(4, { tenant: 'acme' })
    const find = async (id: string) => (await request(`/find/${id}`)).body
    const [task, correlation] = [own.id.split(':')[0]!, own.correlationid]
    expect(await find(own.id)).toEqual({ event: own.id, correlation })
    expect(await find(task)).toEqual({ task })
    expect(await find(task.slice(-6))).toEqual({ task })
    expect(await find(correlation)).toEqual({ correlation })
    expect(await find(correlation.slice(0, 35))).toEqual({ correlation })
    for (const id of [foreign.id, foreign.id.split(':')[0]!.slice(-6), foreign.correlationid.slice(0, 35), 'nowhere'])
      expect((await request(`/find/${id}`)).status).toBe(404)
  })

  it('a stream after the cursor of a row shows what is listed before it', async () => {
    const { get, sum, running } = await started()
    await sum(2)
    const { events, head } = await get('/events?limit=5')
    const streamed = async (after: string, count: number) => {
      const response = await running.fetch(
        new Request(`http://shop.example/events/stream?after=${encodeURIComponent(after)}&rows=1`),
      )
      const rows: Row[] = []
      const text = response.body!.pipeThrough(new TextDecoderStream())
      let rest = ''
      for await (const part of text) {
        rest += part
        for (let end = rest.indexOf('\n\n'); end >= 0; end = rest.indexOf('\n\n')) {
          const data = /^data: (.*)$/m.exec(rest.slice(0, end))?.[1]
          rest = rest.slice(end + 2)
          if (data !== undefined) rows.push(JSON.parse(data) as Row)
        }
        if (rows.length >= count) break
      }
      return rows
    }
    const above = (await streamed(events[2].cursor, 2)).map(({ id }) => id)
    expect(new Set(above)).toEqual(new Set([events[0].id, events[1].id]))
    await running.bus.publish({ type: 'note.taken', data: { text: 'new' } })
    expect(await streamed(head, 1)).toMatchObject([{ type: 'note.taken', data: null, summary: '{"text":"new"}' }])
  })

  it('answers a correlation as rows, from which the same tree is drawn as from its events', async () => {
    const { request, get, sum, running } = await started()
    const { correlationid } = await sum(2, { size: 20_000 })
    const { headers, body } = await request(`/correlations/${correlationid}/events`, undefined, {
      'accept-encoding': 'gzip',
    })
    expect(headers.get('content-encoding')).toBe('gzip')
    expect(body).toBeDefined()
    const stored = await collect(running.bus.read({ correlation: correlationid }))
    const events = (await withData(running.bus, stored, needsData)).map(({ event }) => event)
    const lines = (all: readonly CloudEvent[]) => render(buildTraceTree(all), 120)
    expect(lines(body.events)).toEqual(lines(events))
    const first = await get(`/correlations/${correlationid}/events?limit=2`)
    const rest = await get(`/correlations/${correlationid}/events?after=${first.next}`)
    expect([...first.events, ...rest.events].map(({ id }: Row) => id)).toEqual(body.events.map(({ id }: Row) => id))
    expect(rest.next).toBeUndefined()
    expect(rest.head).toBe(body.head)
    const { correlations } = await get('/correlations')
    expect(correlations).toMatchObject([
      { correlation: correlationid, first: { type: 'sum.asked' }, events: events.length, tasks: 1, live: 0, failed: 0 },
    ])
  })

  it('lists tasks by state, failure and text, and shows their turns from either end', async () => {
    const { get, sum, running, chat } = await started()
    await sum(2, { size: 300_000 })
    const failed = await sum(3)
    const handle = await running.ask(chat, 'When is high tide?', {})
    await handle.result({ within: '20s' })
    const names = async (query: string) =>
      ((await get(`/tasks?${query}`)).tasks as Json[]).map(({ program, state }) => `${program} ${state}`)
    expect(await names('limit=10')).toEqual(['chat completed', 'calculator failed', 'calculator completed'])
    expect(await names('state=failed')).toEqual(['calculator failed'])
    expect(await names('failedWith=E_TOOL_THREW')).toEqual(['calculator failed'])
    expect(await names('program=chat')).toEqual(['chat completed'])
    expect(await names('text=tide')).toEqual(['chat completed'])
    const one = await get('/tasks?limit=1')
    expect((await get(`/tasks?limit=5&before=${one.next}`)).tasks).toHaveLength(2)
    expect(one.tasks).toMatchObject([
      { task: handle.id, kind: 'agent', tenant: 'default', correlation: handle.correlation, tokens: 2 },
    ])
    const task = failed.id.slice(0, 47)
    const all = await get(`/tasks/${task}/turns`)
    expect(all).toMatchObject({
      task,
      state: 'failed',
      failedWith: 'E_TOOL_THREW',
      error: { code: 'E_TOOL_THREW' },
      total: 2,
    })
    expect(all.turns.map(({ version }: Json) => version)).toEqual([1, 2])
    expect(all.turns[0]).toMatchObject({
      inputs: [{ type: 'sum.asked', data: { n: 3 } }],
      emitted: [{ type: 'tool.invoke' }],
    })
    expect(JSON.stringify(all)).not.toContain('views.test.ts')
    expect((await get(`/tasks/${task}/turns?last=1`)).turns).toMatchObject([{ version: 2, end: 'failed' }])
    expect(await get(`/tasks/${task}/turns?limit=1`)).toMatchObject({ turns: [{ version: 1 }], next: 1 })
    expect(await get(`/tasks/${task}/turns?after=1`)).toMatchObject({ turns: [{ version: 2 }] })
    const [large] = (await get('/tasks?state=completed&program=calculator')).tasks
    const { turns } = await get(`/tasks/${large.task}/turns?last=1`)
    const ending = turns[0].emitted.find(({ type }: Row) => type === 'agent.task.completed')
    expect(ending.data).toMatchObject({ truncated: true, event: ending.id, preview: expect.stringContaining('half') })
    const shown = await get(`/events/${encodeURIComponent(ending.id)}`)
    expect(shown).toMatchObject({
      truncated: true,
      bytes: ending.data.bytes,
      preview: expect.stringMatching(/^.{16384}$/),
    })
    expect(shown.event).not.toHaveProperty('data')
    expect((await get(`/events/${encodeURIComponent(ending.id)}/data`)).output.text).toHaveLength(300_000)
    const why = await get(`/events/${encodeURIComponent(ending.id)}/why`)
    expect(why.map(({ event }: Json) => event.type)).toEqual([
      'agent.task.completed',
      'tool.result',
      'tool.invoke',
      'sum.asked',
    ])
  })

  it('sums what models cost', async () => {
    const { get, running, chat } = await started()
    for (const input of ['one', 'two']) await (await running.ask(chat, input, {})).result({ within: '20s' })
    expect(await get('/usage')).toMatchObject({
      rows: [{ program: 'chat', model: expect.any(String), calls: 2, failed: 0, tokens: { input: 2, output: 2 } }],
    })
    expect((await get('/usage?by=hour')).rows[0].hour % 3_600_000).toBe(0)
    expect(await get('/usage', principal('acme', '>'))).toEqual({ rows: [] })
  })

  it('shows nothing of another tenant, and only what may be read', async () => {
    const { request, get, sum } = await started()
    const end = await sum(2)
    const [task, correlation] = [end.id.slice(0, 47), end.correlationid]
    const paths = [
      `/events/${encodeURIComponent(end.id)}`,
      `/events/${encodeURIComponent(end.id)}/data`,
      `/events/${encodeURIComponent(end.id)}/why`,
      `/correlations/${correlation}/events`,
      `/tasks/${task}/turns`,
    ]
    for (const path of paths) {
      expect([path, (await request(path)).status]).toEqual([path, 200])
      expect([path, (await request(path, principal('acme', '>'))).status]).toEqual([path, 404])
    }
    for (const list of ['/events', '/correlations', '/tasks'])
      expect(Object.values(await get(list, principal('acme', '>')))[0]).toEqual([])
    const tools = principal('default', 'tool.*')
    expect((await get('/events', tools)).events.map(({ type }: Row) => type)).toEqual(['tool.result', 'tool.invoke'])
    expect((await get(`/correlations/${correlation}/events`, tools)).events.map(({ type }: Row) => type)).toEqual([
      'tool.invoke',
      'tool.result',
    ])
    expect((await get('/correlations', tools)).correlations).toEqual([])
    for (const path of [`/tasks/${task}/turns`, '/tasks', '/usage'])
      expect((await request(path, tools)).status).toBe(403)
    const why = await get(`/events/${encodeURIComponent(`${task}:0000001:0:result`)}/why`, tools)
    expect(why.map(({ event, lost }: Json) => event?.type ?? (lost === undefined ? '' : 'lost'))).toEqual([
      'tool.result',
      'tool.invoke',
      'lost',
    ])
    for (const list of ['/events', '/correlations'])
      expect((await request(list, principal('default'))).status).toBe(403)
  })
})
