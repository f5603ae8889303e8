import { describe, expect, it } from 'vitest'
import type { Delivery } from '../src/bus/driver.ts'
import { z } from 'zod'
import { agent } from '../src/agents/agent.ts'
import type { CallError } from '../src/tasks/script.ts'
import { until } from '../src/testing/wait.ts'
import { buildTraceTree } from '../src/trace/build-tree.ts'
import { traceRecords } from '../src/trace/records.ts'
import { tool, type Tool, type ToolOptions } from '../src/tools/tool.ts'
import { Pauses } from '../src/bus/pauses.ts'
import { openBus } from '../src/runtime/environment.ts'
import { ToolStation } from '../src/tools/station.ts'
import { ask, ended, eventsOf, typesOf, onAnyBus } from './lib/world.ts'
import blocking from './lib/blocking-app.ts'

onAnyBus(world => {
  /** What an agent gets that calls this tool once. */
  async function answerOf(options: Partial<ToolOptions<unknown, unknown>>, input: unknown = {}): Promise<unknown> {
    const subject = tool('subject', { description: 'Is tested.', input: z.any(), run: () => null, ...options }) as Tool
    const caller = agent('caller', {
      on: 'go',
      run: ctx => ctx.call(subject, input).catch((error: CallError) => error.code),
    })
    const worker = await (await world()).worker({ use: [caller, subject] })
    const { data } = await worker.bus.resolve(await ask(worker, { type: 'go', data: null }))
    return (data as { output: unknown }).output
  }

  describe('a tool answers with a typed failure when', () => {
    it('its input does not fit', async () =>
      expect(await answerOf({ input: z.object({ q: z.string() }) }, { q: 1 })).toBe('E_TOOL_INPUT'))
    it('its output does not fit', async () =>
      expect(await answerOf({ output: z.string(), run: () => 1 })).toBe('E_TOOL_OUTPUT'))
    it('it throws', async () => expect(await answerOf({ run: () => { throw new Error('no') } })).toBe('E_TOOL_THREW')) // biome-ignore format: short
    it('it runs longer than its timeout', async () =>
      expect(await answerOf({ timeout: 50, run: () => new Promise(() => {}) })).toBe('E_TOOL_TIMEOUT'))
    it('its answer is larger than the bus accepts', async () =>
      expect(await answerOf({ run: () => 'x'.repeat(5 * 1024 * 1024) })).toBe('E_EVENT_TOO_LARGE'))
  })

  describe('a tool', () => {
    it('is retried as often as its option says', async () => {
      let runs = 0
      const flaky = { retry: { maxAttempts: 3 }, run: () => { if (++runs < 3) throw new Error('busy'); return runs } } // biome-ignore format: short
      expect(await answerOf(flaky)).toBe(3)
    })

    it('can be retried more often than it may lose its worker', async () => {
      let runs = 0
      const run = () => { if (++runs < 9) throw new Error('busy'); return runs } // biome-ignore format: short
      expect(await answerOf({ retry: { maxAttempts: 9, backoff: 1, maxBackoff: 1 }, run })).toBe(9)
    })

    it('answers with large data through a blob', async () =>
      expect(await answerOf({ run: () => 'x'.repeat(100_000) })).toHaveLength(100_000))

    it('never runs more often at once than its limit, over all workers', async () => {
      const log = await world()
      let running = 0
      let max = 0
      const narrow = tool('narrow', {
        description: '',
        input: z.any(),
        limit: 2,
        run: async () => {
          max = Math.max(max, ++running)
          await new Promise(resolve => setTimeout(resolve, 20))
          running--
        },
      })
      const caller = agent('caller', {
        on: 'go',
        run: ctx => ctx.all(Array.from({ length: 20 }, () => branch => branch.call(narrow, null))),
      })
      const worker = await log.worker({ use: [caller, narrow] })
      await log.worker({ use: [narrow] }, { only: ['tools'] })
      expect((await ask(worker, { type: 'go', data: null })).type).toBe('agent.task.completed')
      expect(max).toBe(2)
    })

    it('keeps to its rate', async () => {
      const log = await world()
      const starts: number[] = []
      const slow = tool('slow', {
        description: '',
        input: z.any(),
        rate: { count: 2, per: '1s' },
        run: () => void starts.push(performance.now()),
      })
      const caller = agent('caller', {
        on: 'go',
        run: ctx => ctx.all([1, 2, 3].map(n => branch => branch.call(slow, n))),
      })
      const worker = await log.worker({ use: [caller, slow] })
      const { correlationid } = await ask(worker, { type: 'go', data: null })
      expect(starts[2]! - starts[0]!).toBeGreaterThan(500)
      // The answers say that the time was spent in the queue.
      const calls = [...traceRecords(buildTraceTree(await eventsOf(worker, correlationid)))]
      expect(Math.max(...calls.map(({ queuedMs }) => Number(queuedMs ?? 0)))).toBeGreaterThan(400)
    })

    it('with atMostOnce answers "unknown" if its first run did not end', async () => {
      const log = await world()
      let runs = 0
      const charge = tool('charge', { description: '', input: z.any(), atMostOnce: true, run: () => ++runs })
      const caller = agent('caller', {
        on: 'go',
        run: ctx => ctx.call(charge, null).catch((error: CallError) => error.code),
      })
      const agents = await log.worker({ use: [caller] }, { only: ['agents'] })
      const { correlationid } = await agents.bus.publish({ type: 'go', data: null })
      const invoke = await until(async () =>
        (await eventsOf(agents, correlationid)).find(event => event.type === 'tool.invoke'),
      )
      // As a worker leaves it that died right after its claim.
      await agents.bus.claim({ event: invoke } as Delivery, {
        id: `${invoke.id}:claim`,
        type: 'tool.claimed',
        correlationid,
        causationid: invoke.id,
        data: null,
      })
      await log.worker({ use: [charge] }, { only: ['tools'] })
      const completed = await until(async () =>
        (await eventsOf(agents, correlationid)).find(event => event.type === 'agent.task.completed'),
      )
      expect(completed.data).toMatchObject({ output: 'E_TOOL_OUTCOME_UNKNOWN' })
      expect(runs).toBe(0)
    })

    it('that crashes its worker each time is given up, and the agent gets the error', async () => {
      const log = await world()
      let starts = 0
      const deadly = tool('deadly', { description: '', input: z.any(), run: () => new Promise(() => starts++) })
      const caller = agent('caller', {
        on: 'go',
        run: ctx => ctx.call(deadly, null).catch((error: CallError) => error.code),
      })
      const agents = await log.worker({ use: [caller] }, { only: ['agents'] })
      const { correlationid, id } = await agents.bus.publish({ type: 'go', data: null })
      const answered = async () => (await eventsOf(agents, correlationid)).some(event => event.type === 'tool.failed')
      while (!(await answered())) {
        const before = starts
        const bus = await openBus(log.place)
        await new ToolStation({ bus, tools: [deadly], pauses: new Pauses(bus) }).start()
        await until(async () => starts > before || (await answered()))
        // As a crash leaves it: what is in hand is never settled.
        await bus.driver.close()
      }
      expect((await ended(agents, correlationid, id)).data).toMatchObject({ output: 'E_WORKER_LOST' })
      expect(starts).toBe(6)
    })

    it('reports progress by signals, which are not stored', async () => {
      const log = await world()
      const chatty = tool('chatty', {
        description: '',
        input: z.any(),
        run: (_input, { progress }) => progress({ percent: 50 }),
      })
      const caller = agent('caller', { on: 'go', run: ctx => ctx.call(chatty, null) })
      const worker = await log.worker({ use: [caller, chatty] })
      const received: unknown[] = []
      worker.bus.onSignal([{ types: ['tool.progress'] }], event => received.push(event.data))
      const done = await ask(worker, { type: 'go', data: null })
      await until(() => received.length === 1)
      expect(typesOf(await eventsOf(worker, done.correlationid))).not.toContain('tool.progress')
    })

    it('reads the bytes that an event names, also in a thread of its own', async () => {
      const read = tool('read', {
        description: '',
        input: z.string(),
        run: async (ref, { blob }) => Buffer.from(await blob(ref)).toString(),
      })
      const reader = agent('reader', { on: 'blob.came', run: (ctx, ref: string) => ctx.call(read, ref) })
      const worker = await (await world()).worker(
        { use: [...blocking.use, read, reader] },
        { module: new URL('./lib/blocking-app.ts', import.meta.url).href },
      )
      const { blob } = await worker.bus.putBlob('default', Buffer.from('hello'))
      const { correlationid } = await worker.bus.publish({ type: 'blob.came', data: blob })
      const ends = async () =>
        (await eventsOf(worker, correlationid))
          .filter(({ type }) => type === 'agent.task.completed')
          .map(({ data }) => (data as { output: unknown }).output)
      await until(async () => (await ends()).length === 2)
      expect(new Set(await ends())).toEqual(new Set([5, 'hello']))
      const missing = await ask(worker, { type: 'blob.came', data: 'sha256-0' })
      expect(missing.data).toMatchObject({ error: { message: expect.stringContaining('no blob sha256-0') } })
    })

    it('that blocks runs in its own thread, and its worker continues', async () => {
      const log = await world()
      const worker = await log.worker(
        { use: blocking.use },
        { module: new URL('./lib/blocking-app.ts', import.meta.url).href },
      )
      let ticks = 0
      const ticking = setInterval(() => ticks++, 5)
      expect((await ask(worker, { type: 'go', data: null })).data).toMatchObject({ output: 'blocked' })
      clearInterval(ticking)
      expect(ticks).toBeGreaterThan(10)
    })
  })
})
