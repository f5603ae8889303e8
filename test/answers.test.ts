import type { LanguageModelV4, LanguageModelV4StreamPart } from '@ai-sdk/provider'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { agent } from '../src/agents/agent.ts'
import type { ErrorData } from '../src/errors.ts'
import type { Program, TurnContext } from '../src/tasks/program.ts'
import { model } from '../src/models/model.ts'
import { collect, until } from '../src/testing/wait.ts'
import type { RunningApp } from '../src/runtime/start.ts'
import type { Callable } from '../src/tasks/script-context.ts'
import { tool } from '../src/tools/tool.ts'
import { anyNasty, nasty } from './lib/nasty.ts'
import { onAnyBus } from './lib/world.ts'

/*
 * Code of every kind that throws, returns or emits whatever it likes. It finds the value by the index that it is called with:
 * what is to be tested could not be sent in an event.
 */

const values: (() => unknown)[] = []
const valueOf = (input: unknown): never => values[(input as { n: number }).n]!() as never
const toss = (input: unknown): never => {
  throw valueOf(input)
}
const any = z.any()
const unread = { description: '', input: any, run: () => 'ran' }
const idle = tool('idle', unread)
const indexIn = (start: { data: unknown }) => (start.data as { input: unknown }).input

const failing = (schema: (value: unknown) => never) =>
  ({ '~standard': { version: 1, vendor: 'test', validate: schema } }) as never

const program = (name: string, parts: Partial<Program>) =>
  agent<unknown>(name, {
    init: () => 0,
    evolve: state => state,
    decide: (_state, _inputs, ctx) => ctx.complete(1),
    ...parts,
  })
const deciding = (name: string, decide: (ctx: TurnContext, value: () => never, input: unknown) => void) =>
  program(name, {
    decide: (_state: unknown, _inputs: unknown, ctx: TurnContext) =>
      decide(ctx, () => valueOf(indexIn(ctx.start)), indexIn(ctx.start)),
  })

function provider(parts: (n: number) => Iterable<LanguageModelV4StreamPart>): LanguageModelV4 {
  return {
    specificationVersion: 'v4',
    provider: 'test',
    modelId: 'nasty',
    supportedUrls: {},
    doGenerate: () => Promise.reject(new Error('only streams')),
    doStream: async ({ prompt }) => {
      const [{ text }] = prompt.at(-1)!.content as unknown as [{ text: string }]
      return { stream: ReadableStream.from(parts((JSON.parse(text) as { n: number }).n)) }
    },
  }
}
const finish = (total: unknown): LanguageModelV4StreamPart => ({
  type: 'finish',
  usage: { inputTokens: { total }, outputTokens: { total: 1 } } as never,
  finishReason: { unified: 'stop', raw: undefined },
})
const models = [
  model(
    provider(n => toss({ n })),
    { name: 'model.throws', retry: { maxAttempts: 1 } },
  ),
  model(
    provider(n => [{ type: 'error', error: valueOf({ n }) }]),
    { name: 'model.fails', retry: { maxAttempts: 1 } },
  ),
  model(
    provider(n => [{ type: 'text-delta', id: '0', delta: valueOf({ n }) }, finish(1)]),
    { name: 'model.says', retry: { maxAttempts: 1 } },
  ),
  model(
    provider(n => [finish(valueOf({ n }))]),
    { name: 'model.counts', retry: { maxAttempts: 1 } },
  ),
]

const places: Callable<never, unknown>[] = [
  tool('tool.throws', { ...unread, run: toss }),
  tool('tool.throws.later', { ...unread, run: async input => { await Promise.resolve(); toss(input) } }),
  tool('tool.returns', { ...unread, run: valueOf }),
  tool('tool.tells', { ...unread, run: (input, { progress }) => progress(valueOf(input)) }),
  tool('tool.input', { ...unread, input: failing(value => toss(value)) }),
  tool('tool.parsed', { ...unread, input: failing(value => ({ value: valueOf(value) }) as never), run: input => input }),
  tool('tool.output', { ...unread, run: input => input, output: failing(value => toss(value)) }),
  tool('tool.issues', { ...unread, input: failing(value => ({ issues: valueOf(value) }) as never) }),
  tool('tool.approval', { ...unread, approval: input => toss(input) }),
  agent('script.throws', { run: (_ctx, input) => toss(input) }),
  agent('script.returns', { run: (_ctx, input) => valueOf(input) }),
  agent('script.emits', { run: (ctx, input) => ctx.emit({ type: 'part.made', data: valueOf(input) }) }),
  agent('script.types', { run: (ctx, input) => ctx.emit({ type: valueOf(input), data: null }) }),
  agent('script.calls', { run: (ctx, input) => ctx.call(idle, valueOf(input)) }),
  agent('script.targets', { run: (ctx, input) => ctx.call(valueOf(input), null) }),
  agent('script.catches', { run: (ctx, input) => ctx.call(idle, valueOf(input)).catch(() => ctx.call(idle, 1)) }),
  agent('script.sleeps', { run: (ctx, input) => ctx.race([each => each.sleep(valueOf(input)), each => each.sleep(1)]) }),
  agent('script.waits', { run: () => new Promise(resolve => setImmediate(resolve)) }),
  agent('script.fails.beside', { run: (ctx, input) => ctx.all([each => each.call(idle, 1), async () => toss(input)]) }),
  agent('script.goes.on', { run: (ctx, input) => (input ? ctx.continueAs(valueOf(input)) : 'done') }),
  program('program.init', { init: (start: { data: unknown }) => toss(indexIn(start)) }),
  program('program.state', { init: (start: { data: unknown }) => valueOf(indexIn(start)) }),
  program('program.evolves', { evolve: (_state: unknown, { data }: { data: unknown }) => toss((data as { input: unknown }).input) }),
  program('program.folds', { init: indexIn, evolve: (state: unknown, { type }: { type: string }) => (type === 'agent.invoke' ? state : toss(state)) }),
  deciding('program.throws', (_ctx, value) => { throw value() }),
  deciding('program.completes', (ctx, value) => ctx.complete(value())),
  deciding('program.fails', (ctx, value) => ctx.fail(value())),
  deciding('program.cancels', (ctx, value) => ctx.cancel(value())),
  deciding('program.emits', (ctx, value) => { ctx.emit({ type: 'part.made', data: value() }); ctx.complete(1) }),
  deciding('program.withdraws', (ctx, value) => { ctx.cancelCall(value()); ctx.complete(1) }),
  ...models.map(each => agent(`agent.of.${each.name}`, { model: each, instructions: '' })),
] // biome-ignore format: one place a line

const kinds = new Map(places.map(place => [place.name, place]))
const caller = agent('caller', {
  on: 'go',
  async run(ctx, { place, n }: { place: string; n: number }) {
    try {
      await ctx.call(kinds.get(place) as Callable, { n })
      return 'answered'
    } catch (error) {
      return (error as { data: ErrorData }).data
    }
  },
})

const mostBytes = 32 * 1024

interface Called {
  readonly place: string
  readonly name: string
  readonly value: () => unknown
}

/** Calls each place with its value, all at once; the answers that their callers got. */
async function answers({ bus }: RunningApp, calls: readonly Called[]) {
  const asked = new Map<string, Called>()
  for (const call of calls) {
    const n = values.push(call.value) - 1
    asked.set((await bus.publish({ type: 'go', data: { place: call.place, n } })).correlationid, call)
  }
  const stop = new AbortController()
  const ends = bus.follow('0', [{ types: ['agent.task.completed'] }], stop.signal)
  const got = new Map<string, unknown>()
  const following = (async () => {
    for await (const { event } of ends) {
      if (event.source !== '/agents/caller' || !asked.has(event.correlationid)) continue
      got.set(event.correlationid, ((await bus.resolve(event)).data as { output: unknown }).output)
    }
  })()
  const silent = () => [...asked].filter(([id]) => !got.has(id)).map(([, { place, name }]) => `${place}: ${name}`)
  await until(() => silent().length === 0, { within: 20_000 }).catch(() => expect(silent()).toEqual([]))
  stop.abort()
  await following
  return [...got].map(([id, output]) => ({ ...asked.get(id)!, output }))
}

const use = [caller, idle, ...models, ...places] as never[]

onAnyBus(world => {
  describe('each caller is answered, whatever code throws, returns or emits:', () => {
    it('named values', { timeout: 120_000 }, async () => {
      const worker = await (await world()).worker({ use })
      const calls = Object.entries(nasty).flatMap(([name, value]) =>
        places.map(({ name: place }) => ({ name, place, value })),
      )
      for (let i = 0; i < calls.length; i += 250)
        for (const { place, name, output } of await answers(worker, calls.slice(i, i + 250)))
          expect([name, place, JSON.stringify(output).length < mostBytes]).toEqual([name, place, true])
      expect(await collect(worker.bus.driver.listDeferred())).toEqual([])
    })

    it('values at random', { timeout: 120_000 }, async () => {
      const worker = await (await world()).worker({ use })
      const calls = fc.array(fc.record({ place: fc.constantFrom(...kinds.keys()), value: anyNasty.map(value => () => value), name: fc.constant('at random') }), { minLength: 20, maxLength: 60 }) // biome-ignore format: one value
      await fc.assert(
        fc.asyncProperty(calls, async made => {
          for (const { output } of await answers(worker, made))
            expect(JSON.stringify(output).length).toBeLessThan(mostBytes)
        }),
        { numRuns: 10, endOnFailure: true },
      )
      expect(await collect(worker.bus.driver.listDeferred())).toEqual([])
    })
  })
})
