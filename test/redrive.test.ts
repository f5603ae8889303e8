import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { agent } from '../src/agents/agent.ts'
import type { CloudEvent } from '../src/event.ts'
import { model } from '../src/models/model.ts'
import { parseEffects, resolveEffects, type EffectRules, type ResolvedEffects } from '../src/replay/effects.ts'
import { planFork, publishFork } from '../src/replay/fork.ts'
import { selectInputs, publishRedrive } from '../src/replay/redrive.ts'
import type { RunningApp } from '../src/runtime/start.ts'
import { until } from '../src/testing/wait.ts'
import { tool } from '../src/tools/tool.ts'
import { plainModel, readIn } from './lib/plain-model.ts'
import { ended, eventsOf, onAnyBus } from './lib/world.ts'

/** A desk that lets a researcher ask a model, which searches twice; then it posts what came out. */
function newsroom() {
  const runs: string[] = []
  const { model: languageModel, asked } = plainModel(prompt => {
    const [question, ...found] = readIn(prompt)
    if (found.length > 0) return `${question} ${found.join(' ')}`
    return ['a', 'b'].map(q => ({ id: `c-${q}`, tool: 'web_search', input: { q } }))
  })
  const search = tool('web.search', {
    description: 'Searches.',
    input: z.object({ q: z.string() }),
    run: ({ q }) => `${q}${runs.push(`search ${q}`)}`,
  })
  const post = tool('news.post', {
    description: 'Posts.',
    input: z.any(),
    atMostOnce: true,
    run: text => `posted ${runs.push(`post ${text}`)}`,
  })
  const clock = tool('clock', { description: 'Tells.', input: z.any(), readOnly: true, run: () => runs.push('clock') })
  const researcher = agent('researcher', {
    model: model(languageModel, { name: 'plain' }),
    instructions: 'Research.',
    tools: [search],
  })
  const desk = agent('desk', {
    on: 'question.asked',
    async run(ctx, question: string) {
      await ctx.call(clock, null)
      const text = await ctx.call(researcher, question)
      const posted = await ctx.call(post, text).catch(error => error.code)
      ctx.emit({ type: 'question.answered', data: { text } })
      return { text, posted }
    },
  })
  const audit = agent('audit', { on: 'question.answered', run: (_ctx, { text }: { text: string }) => text.length })
  const use = [desk, researcher, audit, search, post, clock]
  const members = [
    { kind: 'tool', name: 'web.search', readOnly: false, atMostOnce: false },
    { kind: 'tool', name: 'news.post', readOnly: false, atMostOnce: true },
    { kind: 'tool', name: 'clock', readOnly: true, atMostOnce: false },
    { kind: 'model', name: 'plain', readOnly: false, atMostOnce: false },
  ] as const
  const ruledBy = (text: string, stubs: Record<string, unknown> = {}): ResolvedEffects =>
    resolveEffects(members, { effects: parseEffects(text), stubs: new Map(Object.entries(stubs)) })
  return { use, runs, asked, ruledBy }
}

const output = (event: CloudEvent) => (event.data as { output: unknown }).output

onAnyBus(world => {
  async function recorded() {
    const log = await world()
    const room = newsroom()
    const worker = await log.worker({ use: room.use })
    const { id, correlationid } = await worker.bus.publish({
      id: 'question-1',
      type: 'question.asked',
      data: 'Why?',
      user: 'ann',
    })
    const first = await ended(worker, correlationid, id)
    const again = async (text: string, stubs?: Record<string, unknown>) => {
      const selection = { correlation: correlationid }
      const inputs = await selectInputs(worker.bus, selection)
      const { counterpart, replay: mark } = await publishRedrive(
        worker.bus,
        selection,
        inputs,
        room.ruledBy(text, stubs),
      )
      const correlation = counterpart(correlationid)
      const start = await until(async () =>
        (await eventsOf(worker, correlation)).find(event => event.causationid === id),
      )
      const end = await ended(worker, correlation, start.id)
      await settledAt(worker)
      return { correlation, mark, start, end, events: await eventsOf(worker, correlation) }
    }
    await settledAt(worker)
    room.runs.length = 0
    room.asked.length = 0
    return { log, room, worker, first, correlationid, again }
  }

  const settledAt = ({ bus }: RunningApp) =>
    until(async () => (await bus.driver.listGroups()).every(({ lag }) => lag === 0), { within: 10_000 })

  describe('a redrive', () => {
    it('denies what is not read-only, and says by which option it would be allowed', async () => {
      const { room, again, worker } = await recorded()
      const seen: CloudEvent[] = []
      const foreign = await worker.bus.driver.subscribe({
        group: 'python/worker',
        filter: [{ types: ['tool.invoke', 'model.invoke'], targets: ['clock', 'plain', 'web.search', 'news.post'] }],
        mode: 'shared',
        maxInFlight: 10,
        from: 'now',
        onDelivery: delivery => {
          seen.push(delivery.event)
          void delivery.settle({ kind: 'done' })
        },
      })
      const { end, events, mark } = await again('')
      expect(end.data).toMatchObject({
        error: { code: 'E_REPLAY_DENIED', message: expect.stringContaining('--effects model/plain=live') },
      })
      expect(room.runs).toEqual(['clock'])
      expect(room.asked).toEqual([])
      // A worker in another language is handed what is live, and nothing else.
      expect(seen.map(({ target }) => target)).toEqual(['clock'])
      await foreign.close()
      expect(events.map(({ replay }) => replay)).toEqual(events.map(() => mark))
      expect(events.filter(({ target }) => target === '$replay').map(({ subject }) => subject)).toEqual(['plain'])
    })

    it('with recorded effects gives the same result and runs nothing', async () => {
      const { room, again, first } = await recorded()
      const { end, events, start } = await again('tool/*=recorded,model/*=recorded')
      expect(end.data).toEqual(first.data)
      expect(room.runs).toEqual([])
      expect(room.asked).toEqual([])
      expect(start).toMatchObject({ type: 'question.asked', data: 'Why?', user: 'ann', hops: 0 })
      expect(events.filter(({ type }) => type === 'agent.task.completed').map(({ source }) => source)).toEqual(
        expect.arrayContaining(['/agents/desk', '/agents/researcher', '/agents/audit']),
      )
    })

    it('runs live tools, and an atMostOnce tool only if it is named', async () => {
      const { room, again, worker } = await recorded()
      const deltas: (string | undefined)[] = []
      worker.bus.onSignal([{ types: ['model.delta'] }], ({ replay }) => deltas.push(replay))
      expect(output((await again('*=live')).end)).toEqual({ text: 'Why? "a2" "b3"', posted: 'E_REPLAY_DENIED' })
      expect(room.runs).toEqual(['clock', 'search a', 'search b'])
      expect(room.asked).toHaveLength(2)
      await until(() => deltas.length > 0)
      expect(deltas.every(replay => replay?.startsWith('redrive/'))).toBe(true)
      const { end } = await again('*=live,tool/news.post=live')
      expect(output(end)).toMatchObject({ posted: expect.stringContaining('posted') })
      expect(room.runs).toHaveLength(7)
    })

    it('answers with stubs', async () => {
      const { room, again } = await recorded()
      const { end } = await again('tool/news.post=recorded', {
        'tool/web.search': { hit: 1 },
        'model/plain': 'Said so.',
      })
      // The model is a stub, so nobody searches; the post of another text was not recorded.
      expect(output(end)).toEqual({ text: 'Said so.', posted: 'E_REPLAY_UNRECORDED' })
      const live = await again('model/plain=live', { 'tool/web.search': { hit: 1 } })
      expect(output(live.end)).toEqual({ text: 'Why? {"hit":1} {"hit":1}', posted: 'E_REPLAY_DENIED' })
      expect(room.runs).toEqual(['clock', 'clock'])
    })

    it('of a redrive uses the answers that the first redrive recorded', async () => {
      const { room, again, first, worker } = await recorded()
      const { correlation } = await again('*=recorded')
      const inputs = await selectInputs(worker.bus, { correlation })
      const { counterpart } = await publishRedrive(worker.bus, { correlation }, inputs, room.ruledBy('*=recorded'))
      const second = counterpart(correlation)
      const start = await until(async () => (await eventsOf(worker, second))[0])
      expect((await ended(worker, second, start.id)).data).toEqual(first.data)
      expect(room.runs).toEqual([])
    })

    it('of a task starts that program only', async () => {
      const { room, worker, first } = await recorded()
      const task = first.id.split(':')[0]!
      const plan = await planFork(worker.bus, { task, version: 1 })
      const { correlation, replay: mark } = await publishFork(worker.bus, plan, 'redrive', room.ruledBy('*=recorded'))
      expect((await ended(worker, correlation, mark)).data).toEqual(first.data)
      expect(mark).toBe(`redrive/${correlation}`)
    })

    it('of a period takes outside events, and none that a redrive published', async () => {
      const { worker, again, correlationid } = await recorded()
      await again('')
      const before = Date.now()
      expect(await selectInputs(worker.bus, { since: before + 60_000 })).toEqual([])
      const all = await selectInputs(worker.bus, { since: before - 60_000 })
      expect(all.map(event => event.correlationid)).toEqual([correlationid])
      expect(await selectInputs(worker.bus, { since: before - 60_000 }, ['order.*'])).toEqual([])
    })
  })
})

describe('the same call made several times', () => {
  onAnyBus(world => {
    it('gets the recorded answers in order, and then the last one', async () => {
      const rules: EffectRules = { effects: parseEffects('*=recorded'), stubs: new Map() }
      let n = 0
      const poll = tool('poll', { description: '', input: z.any(), run: () => ++n })
      let times = 3
      const poller = agent('poller', {
        on: 'go',
        async run(ctx) {
          const seen: unknown[] = []
          for (let i = 0; i < times; i++) seen.push(await ctx.call(poll, { b: 1, a: 2 }))
          return seen
        },
      })
      const worker = await (await world()).worker({ use: [poller, poll] })
      const { id, correlationid } = await worker.bus.publish({ type: 'go', data: null })
      const end = await ended(worker, correlationid, id)
      // A fork goes on behind the answers of its history.
      for (const version of [1, 2, 3, 4]) {
        const plan = await planFork(worker.bus, { task: end.id.split(':')[0]!, version })
        const forked = await publishFork(worker.bus, plan, 'fork', resolveEffects([], rules))
        expect(output(await ended(worker, forked.correlation, forked.replay))).toEqual([1, 2, 3])
      }
      times = 5
      const selection = { correlation: correlationid }
      const inputs = await selectInputs(worker.bus, selection)
      const { counterpart } = await publishRedrive(worker.bus, selection, inputs, resolveEffects([], rules))
      const correlation = counterpart(correlationid)
      const start = await until(async () => (await eventsOf(worker, correlation))[0])
      expect(output(await ended(worker, correlation, start.id))).toEqual([1, 2, 3, 3, 3])
      expect(n).toBe(3)
    })
  })
})

describe('the rules of effects', () => {
  const members = [
    { kind: 'tool', name: 'web.search', readOnly: false, atMostOnce: false },
    { kind: 'tool', name: 'mail.send', readOnly: false, atMostOnce: true },
    { kind: 'tool', name: 'clock', readOnly: true, atMostOnce: false },
    { kind: 'model', name: 'openai/gpt', readOnly: false, atMostOnce: false },
  ] as const
  const ruled = (text: string, stubs: Record<string, unknown> = {}) =>
    resolveEffects(members, { effects: parseEffects(text), stubs: new Map(Object.entries(stubs)) }).effects

  it('deny tools that are not named, unless they are read-only', () => {
    expect(ruled('')).toEqual({
      'tool/web.search': 'deny',
      'tool/mail.send': 'deny',
      'tool/clock': 'live',
      'model/openai/gpt': 'deny',
      'tool/*': 'deny',
      'model/*': 'deny',
      'step/*': 'deny',
      'approval/*': 'deny',
    })
  })

  it('apply the longest matching pattern, and refuse live names that the app does not have', () => {
    expect(ruled('tool/web.*=recorded, *=live, model/*gpt=stub, tool/else=live', { 'model/openai/gpt': 'x' })).toEqual({
      'tool/web.search': 'recorded',
      'tool/mail.send': 'deny',
      'tool/clock': 'live',
      'model/openai/gpt': 'stub',
      'tool/else': 'live',
      'tool/*': 'deny',
      'model/*': 'deny',
      'step/*': 'deny',
      'approval/*': 'deny',
    })
    expect(ruled('*=recorded')).toMatchObject({ 'tool/*': 'recorded', 'model/*': 'recorded', 'tool/clock': 'recorded' })
  })

  it.each(['web.search=live', 'tool/x', 'tool/x=perhaps', 'tool/=live'])('refuse "%s"', text => {
    expect(() => parseEffects(text)).toThrow(expect.objectContaining({ code: 'E_USAGE' }))
  })

  it('refuse a stub without an answer', () => {
    expect(() => ruled('tool/web.search=stub')).toThrow(expect.objectContaining({ code: 'E_USAGE' }))
  })
})
