import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { agent } from '../src/agents/agent.ts'
import type { PublishedEvent } from '../src/bus/bus.ts'
import { taskId, turnId } from '../src/bus/ids.ts'
import type { CloudEvent } from '../src/event.ts'
import type { ErrorData } from '../src/errors.ts'
import type { Turn } from '../src/tasks/program.ts'
import type { RunningApp } from '../src/runtime/start.ts'
import { collect, until } from '../src/testing/wait.ts'
import { tool } from '../src/tools/tool.ts'
import { ask, eventsOf, onEveryBus, type World } from './lib/world.ts'

const n = z.number()
const lengthOf = tool('length.of', { description: '', input: z.string(), run: text => text.length })
const textOf = tool('text.of', { description: '', input: n, run: length => 'x'.repeat(length) })

/** Asks for texts of these lengths all at once, and says how long all of them are. */
const reader = agent('reader', {
  on: 'go',
  async run(ctx, lengths: number[]) {
    const texts = await ctx.all(lengths.map(length => each => each.call(textOf, length)))
    return texts.reduce((sum, text) => sum + text.length, 0)
  },
})

const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0)
const budget = { calls: 1_000_000, events: 1_000_000 }
const within = 25_000

/** Resolves when the first turn of the task that this event begins is on the log. */
const firstTurn = ({ bus }: RunningApp, program: string, { id, correlationid }: PublishedEvent) =>
  until(() => bus.get(turnId(taskId(correlationid, program, id), 1), correlationid), { within })

/** How the task ended. It follows the log: to read thousands of events again and again would take most of the test. */
async function endOf({ bus }: RunningApp, { correlationid }: PublishedEvent): Promise<CloudEvent> {
  const stop = AbortSignal.timeout(within)
  const ends = bus.follow('0', [{ types: ['agent.task.completed', 'agent.task.failed'] }], stop)
  for await (const { event } of ends) if (event.correlationid === correlationid) return bus.resolve(event)
  throw new Error(`no end of ${correlationid} within ${within} ms`)
}

/** Begins the reader while no tool runs, then lets all answers come while the reader does not run. */
async function answersWaiting(log: World, lengths: readonly number[]): Promise<PublishedEvent> {
  let ran = 0
  const counted = tool('text.of', { description: '', input: n, run: length => (ran++, 'x'.repeat(length)) })
  const first = await log.worker({ use: [reader], budget }, { only: ['agents'] })
  const published = await first.bus.publish({ type: 'go', data: lengths })
  await firstTurn(first, 'reader', published)
  await log.stop()
  await log.worker({ use: [counted] }, { only: ['tools'] })
  await until(() => ran === lengths.length, { within })
  await log.stop()
  return published
}

const turnsOf = (events: readonly CloudEvent[]) => events.filter(({ type }) => type === 'task.turn')

onEveryBus(world => {
  describe('a task', () => {
    it('takes 900 waiting answers of 7 kB, some in each turn', { timeout: 120_000 }, async () => {
      const log = await world()
      const lengths = Array.from({ length: 900 }, () => 7_000)
      const published = await answersWaiting(log, lengths)
      const second = await log.worker({ use: [reader], budget }, { only: ['agents'] })
      expect((await endOf(second, published)).data).toMatchObject({ output: 6_300_000 })
      expect(await collect(second.bus.driver.listDeferred())).toEqual([])
      for (const turn of turnsOf(await eventsOf(second, published.correlationid))) {
        const { inputs } = (await second.bus.resolve(turn)).data as Turn
        expect(JSON.stringify(inputs).length).toBeLessThan(1.1 * 1024 * 1024)
      }
    })

    it('takes any number of parked events when they are redelivered', { timeout: 120_000 }, async () => {
      const log = await world()
      const lengths = Array.from({ length: 700 }, () => 7_500)
      const published = await answersWaiting(log, lengths)
      const second = await log.worker({ use: [reader], budget }, { only: ['agents'] })
      await second.pauses.set('agent', 'reader', true)
      await second.pauses.set('agent', 'reader', false)
      expect((await endOf(second, published)).data).toMatchObject({ output: 700 * 7_500 })
    })

    it('emits 900 events and calls of 7 kB in one turn', { timeout: 120_000 }, async () => {
      const log = await world()
      const text = 'y'.repeat(7_000)
      const writer = agent('writer', {
        on: 'go',
        async run(ctx) {
          for (let i = 0; i < 900; i++) ctx.emit({ type: 'part.made', data: { i, text } })
          return sum(await ctx.all(Array.from({ length: 900 }, () => each => each.call(lengthOf, text))))
        },
      })
      const first = await log.worker({ use: [writer], budget }, { only: ['agents'] })
      const published = await first.bus.publish({ type: 'go', data: null })
      await firstTurn(first, 'writer', published)
      await log.stop()
      const second = await log.worker({ use: [writer, lengthOf], budget })
      expect((await endOf(second, published)).data).toMatchObject({ output: 900 * 7_000 })
      const events = await eventsOf(second, published.correlationid)
      const [opening] = turnsOf(events)
      const { emits } = (await second.bus.resolve(opening!)).data as Turn
      expect(emits).toHaveLength(1_800)
      const parts = events.filter(({ type }) => type === 'part.made')
      const data = await Promise.all(parts.map(async part => (await second.bus.resolve(part)).data))
      expect(data).toEqual(Array.from({ length: 900 }, (_, i) => ({ i, text })))
    })

    it('emits more than a turn holds by moving its data to blobs', { timeout: 120_000 }, async () => {
      const log = await world()
      const text = 'z'.repeat(7_900)
      const many = agent('many', {
        on: 'go',
        run: ctx => {
          for (let i = 0; i < 2_500; i++) ctx.emit({ type: 'part.made', data: { i, text } })
        },
      })
      const worker = await log.worker({ use: [many], budget })
      const published = await worker.bus.publish({ type: 'go', data: null })
      await endOf(worker, published)
      const parts = (await eventsOf(worker, published.correlationid)).filter(({ type }) => type === 'part.made')
      expect(parts).toHaveLength(2_500)
      expect((await worker.bus.resolve(parts.at(-1)!)).data).toEqual({ i: 2_499, text })
    })

    it('takes one answer of 4 MiB', { timeout: 60_000 }, async () => {
      const log = await world()
      const worker = await log.worker({ use: [reader, textOf] })
      const length = 4 * 1024 * 1024 - 64
      const published = await worker.bus.publish({ type: 'go', data: [length] })
      expect((await endOf(worker, published)).data).toMatchObject({ output: length })
    })

    it('that emits more than a turn can contain fails, and its caller gets the error', {
      timeout: 60_000,
    }, async () => {
      const log = await world()
      const greedy = agent('greedy', {
        run: async ctx => void (await ctx.all(Array.from({ length: 10_001 }, () => each => each.sleep('1d')))),
      })
      const verbose = agent('verbose', {
        init: () => 0,
        evolve: state => state,
        decide: (_state, _inputs, ctx) =>
          void ctx.call({ type: 'tool.invoke', target: 'text.of', data: null, key: 'k'.repeat(5 * 1024 * 1024) }),
      })
      const caller = agent('caller', {
        on: 'go',
        run: (ctx, which: string) =>
          ctx.call(which === 'greedy' ? greedy : verbose, null).catch(error => (error as { data: ErrorData }).data),
      })
      const worker = await log.worker({ use: [greedy, verbose, caller], budget })
      for (const which of ['greedy', 'verbose'])
        expect((await ask(worker, { type: 'go', data: which })).data).toMatchObject({
          output: { code: 'E_TURN_TOO_LARGE', message: expect.stringMatching(/the (limit|maximum) is/) },
        })
      expect(await collect(worker.bus.driver.listDeferred())).toEqual([])
    })

    it('takes answers of any sizes and numbers, also over a restart', { timeout: 120_000 }, async () => {
      const sizes = fc.oneof(
        { weight: 6, arbitrary: fc.nat(9_000) },
        { weight: 3, arbitrary: fc.nat(40_000) },
        { weight: 1, arbitrary: fc.nat(1_500_000) },
      )
      const rounds = fc.record({
        lengths: fc.array(sizes, { minLength: 1, maxLength: 60 }),
        isRestarted: fc.boolean(),
      })
      await fc.assert(
        fc.asyncProperty(rounds, async ({ lengths, isRestarted }) => {
          const log = await world()
          if (isRestarted) {
            const published = await answersWaiting(log, lengths)
            const second = await log.worker({ use: [reader], budget }, { only: ['agents'] })
            expect((await endOf(second, published)).data).toMatchObject({ output: sum(lengths) })
          } else {
            const worker = await log.worker({ use: [reader, textOf], budget })
            const published = await worker.bus.publish({ type: 'go', data: lengths })
            expect((await endOf(worker, published)).data).toMatchObject({ output: sum(lengths) })
          }
          await log.stop()
        }),
        { numRuns: 3 },
      )
    })
  })
})
