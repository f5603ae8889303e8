import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { agent } from '../../src/agents/agent.ts'
import type { CloudEvent } from '../../src/event.ts'
import { Replayer } from '../../src/replay/replayer.ts'
import type { RunningApp } from '../../src/runtime/start.ts'
import { Programs } from '../../src/tasks/programs.ts'
import { until } from '../../src/testing/wait.ts'
import { model } from '../../src/models/model.ts'
import { tool } from '../../src/tools/tool.ts'
import { workflow } from '../../src/workflows/workflow.ts'
import { ask, ended, eventsOf, onEveryBus } from '../lib/world.ts'
import { order, orders } from './order.ts'

/* What code holds in memory is what the log says: docs/values.md. */

const input = z.any()
const outputOf = (end: CloudEvent) => (end.data as { output: unknown }).output
const errorOf = (end: CloudEvent) => (end.data as { error: { code: string; message: string } }).error

interface Recorded {
  inputs: CloudEvent[]
}

/** The inputs of all turns, by id, as they were recorded. */
async function recordedInputs(worker: RunningApp, correlation: string) {
  const turns = (await eventsOf(worker, correlation)).filter(({ type }) => type === 'task.turn')
  return new Map(turns.flatMap(({ data }) => (data as Recorded).inputs).map(event => [event.id, event.data]))
}

onEveryBus(world => {
  describe('a value that code changes', () => {
    it('is the same after a kill -9, is recorded as it came, and replays', { timeout: 90_000 }, async () => {
      const log = await world()
      const child = fork(join(import.meta.dirname, 'order-child.ts'), [JSON.stringify(log.place)], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] }) // biome-ignore format: one line
      await once(child, 'message')
      const watching = await log.worker({ use: [] }, { only: [] })
      const { correlationid, id } = await watching.bus.publish({
        type: 'agent.invoke',
        target: 'orders',
        data: { input: { fee: 1 } },
      })
      await until(async () => (await eventsOf(watching, correlationid)).some(({ type }) => type === 'timer.set'), {
        within: 10_000,
      })
      const exit = once(child, 'exit')
      child.kill('SIGKILL')
      await exit
      const second = await log.worker({ use: [order, orders] })
      expect(outputOf(await ended(second, correlationid, id, 60_000))).toEqual([105, 2])

      const recorded = await recordedInputs(second, correlationid)
      const replay = new Replayer(new Programs([orders.definition]))
      for await (const { position, event } of second.bus.read({ correlation: correlationid })) {
        if (event.type === 'tool.result') expect(recorded.get(event.id)).toMatchObject({ output: { total: 100 } })
        if (event.type === 'tool.result') expect(event.data).toMatchObject({ output: { total: 100 } })
        await replay.add(position, event)
      }
      expect(recorded.get(id)).toEqual({ input: { fee: 1 } })
      expect(replay.finish()).toMatchObject({ tasks: 1, turns: 3, diverged: 0, skipped: [] })
    })

    it('is taken at the moment of the call', async () => {
      const got: unknown[] = []
      const note = tool('note', { description: '', input, run: value => void got.push(structuredClone(value)) })
      const writer = agent('writer', {
        on: 'go',
        async run(ctx) {
          const draft = { words: ['one'] }
          const noted = ctx.call(note, draft)
          ctx.emit({ type: 'drafted', data: draft })
          draft.words.push('two')
          await noted
          draft.words.push('three')
          return draft
        },
      })
      const worker = await (await world()).worker({ use: [note, writer] })
      const end = await ask(worker, { type: 'go', data: null })
      expect(outputOf(end)).toEqual({ words: ['one', 'two', 'three'] })
      expect(got).toEqual([{ words: ['one'] }])
      const drafted = (await eventsOf(worker, end.correlationid)).find(({ type }) => type === 'drafted')
      expect(drafted!.data).toEqual({ words: ['one'] })
    })

    it('changes neither the cache of its tool, nor what the tool changes its caller', async () => {
      const cache = { total: 100 }
      const cached = tool('cached', { description: '', input, run: () => cache })
      const greedy = tool('greedy', {
        description: '',
        input: z.looseObject({}),
        run: value => Object.assign(value, { taken: true }),
      })
      const caller = agent('caller', {
        on: 'go',
        async run(ctx) {
          const first = await ctx.call(cached, {})
          first.total = 0
          const mine = { mine: true }
          await ctx.call(greedy, mine)
          return [await ctx.call(cached, {}), mine]
        },
      })
      const worker = await (await world()).worker({ use: [cached, greedy, caller] })
      expect(outputOf(await ask(worker, { type: 'go', data: null }))).toEqual([{ total: 100 }, { mine: true }])
      expect(cache).toEqual({ total: 100 })
    })

    it('is another one for what asks whether a person must approve', async () => {
      const paid = tool('paid', {
        description: '',
        input: z.looseObject({ amount: z.number() }),
        approval: value => {
          value.amount = 0
          return false
        },
        run: ({ amount }) => amount,
      })
      const caller = agent('caller', { on: 'go', run: ctx => ctx.call(paid, { amount: 5 }) })
      const worker = await (await world()).worker({ use: [paid, caller] })
      expect(outputOf(await ask(worker, { type: 'go', data: null }))).toBe(5)
    })

    it('is not the call itself: a tool may do what it likes with its event', async () => {
      const wild = tool('wild', {
        description: '',
        input,
        run: (_input, { event }) => void Object.assign(event, { id: 'other', replyto: 'nobody', correlationid: '' }),
      })
      const caller = agent('caller', { on: 'go', run: ctx => ctx.call(wild, {}) })
      const worker = await (await world()).worker({ use: [wild, caller] })
      expect(outputOf(await ask(worker, { type: 'go', data: null }))).toBeNull()
    })

    it('is not seen by other subscribers or by the publisher', async () => {
      const data = { list: ['as published'] }
      const seen: string[] = []
      const subscribers = ['one', 'two', 'three'].map(name =>
        agent(name, {
          on: 'news',
          run(ctx, news: { list: string[] }) {
            seen.push(...news.list)
            news.list.push(name)
            ;(ctx.event.data as typeof data).list.push(name)
            return news
          },
        }),
      )
      const flow = workflow('flow', { on: 'news', within: '1h' }).complete(s => s.event)
      const worker = await (await world()).worker({ use: [...subscribers, flow] })
      const { correlationid } = await worker.bus.publish({ type: 'news', data })
      const ends = await until(async () => {
        const events = await eventsOf(worker, correlationid)
        const all = events.filter(({ type }) => type === 'agent.task.completed')
        return all.length === 4 && all
      })
      expect(ends.map(outputOf)).toEqual(
        expect.arrayContaining([...['one', 'two', 'three'].map(name => ({ list: ['as published', name] })), data]),
      )
      expect(seen).toEqual(['as published', 'as published', 'as published'])
      expect(data).toEqual({ list: ['as published'] })
    })

    it('is a copy for each that listens to signals and reads the log', async () => {
      const worker = await (await world()).worker({ use: [] })
      const received: unknown[] = []
      const spoil = (event: CloudEvent) => {
        received.push(structuredClone(event.data))
        ;(event.data as { n: number }).n = 0
      }
      const stop = [1, 2].map(() => worker.bus.onSignal([{ types: ['beat'] }], spoil))
      await until(() => {
        worker.bus.signal({ type: 'beat', data: { n: 1 } })
        return received.length >= 2
      })
      for (const each of stop) each()
      expect(new Set(received.map(each => JSON.stringify(each)))).toEqual(new Set(['{"n":1}']))

      // Some brokers remember what is published once somebody has asked.
      for (const _ of ['unknown', 'remembered']) {
        const { id, correlationid } = await worker.bus.publish({ type: 'kept', data: { n: 1 } })
        spoil((await worker.bus.get(id, correlationid))!)
        spoil((await worker.bus.get(id, correlationid))!)
        expect((await worker.bus.get(id, correlationid))!.data).toEqual({ n: 1 })
      }
    })

    it('is redacted also for receivers in the same process', async () => {
      const secret = 'ghp_0123456789abcdefghijABCDEFGHIJ012345'
      const leaky = tool('leaky', { description: '', input, run: () => ({ secret }) })
      const reader = agent('reader', { on: 'go', run: ctx => ctx.call(leaky, {}) })
      const received: unknown[] = []
      const hearer = agent('hearer', { on: 'go', run: (_ctx, news) => void received.push(news) })
      const worker = await (await world()).worker({ use: [leaky, reader, hearer] })
      const end = await ask(worker, { type: 'go', data: { secret } })
      expect(outputOf(end)).toEqual({ secret: '[redacted github-token]' })
      await until(() => received.length > 0)
      expect(received).toEqual([{ secret: '[redacted github-token]' }])
    })

    it('is the prompt of a model, which may change it', async () => {
      const prompts: string[] = []
      const meddling = model(
        {
          specificationVersion: 'v4',
          provider: 'test',
          modelId: 'meddling',
          supportedUrls: {},
          doGenerate: () => Promise.reject(new Error('it streams')),
          async doStream({ prompt, tools }) {
            prompts.push(JSON.stringify([prompt, tools]))
            for (const part of [...prompt, ...(tools ?? [])])
              Object.assign(part, { role: 'user', name: 'spoilt', content: [] })
            return {
              stream: ReadableStream.from([
                { type: 'text-delta' as const, id: '1', delta: 'done' },
                {
                  type: 'finish' as const,
                  finishReason: { unified: 'stop' as const, raw: 'stop' },
                  usage: {
                    inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
                    outputTokens: { total: 1, text: 1, reasoning: 0 },
                  },
                },
              ]),
            }
          },
        },
        { retry: { maxAttempts: 1 } },
      )
      const asked = agent('asked', { model: meddling, instructions: 'Say.', tools: [order] })
      const worker = await (await world()).worker({ use: [order, asked] })
      for (const _ of [1, 2]) await ask(worker, { type: 'agent.invoke', target: 'asked', data: { input: 'What?' } })
      expect(prompts).toHaveLength(2)
      expect(prompts[1]).toBe(prompts[0])
    })
  })

  it('a wait that cannot be is refused again when the code runs again', async () => {
    const log = await world()
    const note = tool('note', { description: '', input, run: () => 'noted' })
    const waits = agent('waits', {
      on: 'go',
      async run(ctx) {
        const codes: string[] = []
        const refused = (code: string) => codes.push(code)
        for (const within of ['soon', -1, 1e300] as never[]) {
          await (async () => ctx.call(note, 1, { within }))().catch(({ code }) => refused(code))
          await (async () => ctx.sleep(within))().catch(({ code }) => refused(code))
        }
        return [await ctx.call(note, 1), ...codes]
      },
    })
    const first = await log.worker({ use: [waits] })
    const { id, correlationid } = await first.bus.publish({ type: 'go', data: null })
    await until(async () => (await eventsOf(first, correlationid)).some(({ type }) => type === 'tool.invoke'))
    await log.stop()
    const second = await log.worker({ use: [waits, note] })
    const end = await ended(second, correlationid, id)
    expect(outputOf(end)).toEqual(['noted', ...Array.from({ length: 6 }, () => 'E_SETTING_INVALID')])
  })

  describe('a value that JSON has otherwise', () => {
    it('is a text for the caller, if it is a Date, in one process too', async () => {
      const dated = tool('dated', { description: '', input, run: () => ({ at: new Date(0) }) })
      const caller = agent('caller', { on: 'go', run: async ctx => typeof (await ctx.call(dated, {})).at })
      const worker = await (await world()).worker({ use: [dated, caller] })
      expect(outputOf(await ask(worker, { type: 'go', data: null }))).toBe('string')
    })

    it('is refused where it is given: a call throws, a return fails the task, a tool has failed', async () => {
      const map = tool('map', { description: '', input, run: () => ({ items: new Map() }) })
      const caller = agent('caller', {
        on: 'go',
        async run(ctx) {
          const problems: string[] = []
          const note = (error: Error) => void problems.push(error.message)
          try {
            ctx.emit({ type: 'said', data: { list: [1, NaN] } })
          } catch (error) {
            note(error as Error)
          }
          try {
            await ctx.call(map, { when: { at: new Set() } })
          } catch (error) {
            note(error as Error)
          }
          await ctx.call(map, {}).catch(note)
          await ctx.sleep(1)
          return problems
        },
      })
      const returns = agent('returns', { run: () => ({ total: 1n }) })
      const goesOn = agent('goes.on', { run: ctx => ctx.continueAs({ f() {} }) })
      const program = { init: () => ({}), evolve: (state: object) => state }
      const completes = agent('completes', { ...program, decide: (_state, _inputs, ctx) => ctx.complete([new Map()]) })
      const keeps = agent('keeps', {
        ...program,
        evolve: () => ({ seen: new Set() }),
        decide: (_state, _inputs, ctx) => ctx.complete(1),
      })
      const worker = await (await world()).worker({ use: [map, caller, returns, goesOn, completes, keeps] })
      expect(outputOf(await ask(worker, { type: 'go', data: null }))).toEqual([
        'the data of said: $.list[1] is NaN: JSON numbers are finite. Use null or a text',
        'the data of tool.invoke: $.input.when.at is a Set. Use [...set]',
        'E_TOOL_OUTPUT: "map" returned a value that is not JSON: $.items is a Map. Use Object.fromEntries(map) or [...map]',
      ])
      const invoke = { type: 'agent.invoke', data: { input: null } }
      expect(errorOf(await ask(worker, { ...invoke, target: 'returns' }))).toMatchObject({
        code: 'E_VALUE_INVALID',
        message: 'what run() returns: $.total is a bigint. Use a number or a text',
      })
      expect(errorOf(await ask(worker, { ...invoke, target: 'goes.on' }))).toMatchObject({
        code: 'E_VALUE_INVALID',
        message: 'the input of continueAs(): $.f is a function. Leave it out',
      })
      expect(errorOf(await ask(worker, { ...invoke, target: 'completes' }))).toMatchObject({
        code: 'E_VALUE_INVALID',
        message: 'the data of agent.task.completed: $.output[0] is a Map. Use Object.fromEntries(map) or [...map]',
      })
      expect(errorOf(await ask(worker, { ...invoke, target: 'keeps' }))).toMatchObject({
        code: 'E_VALUE_INVALID',
        message: 'the state: $.seen is a Set. Use [...set]',
      })
      await expect(worker.bus.publish({ type: 'x', data: { m: new Map() } })).rejects.toMatchObject({
        code: 'E_EVENT_INVALID',
        message: 'the data of x: $.m is a Map. Use Object.fromEntries(map) or [...map]',
      })
    })
  })
})
