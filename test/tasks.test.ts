import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { agent } from '../src/agents/agent.ts'
import { collect, until } from '../src/testing/wait.ts'
import { tool } from '../src/tools/tool.ts'
import { ask, ended, eventsOf, typesOf, onEveryBus } from './lib/world.ts'

onEveryBus(world => {
  const any = z.any()

  /** A tool whose runs end when the test says so. */
  function held(name: string) {
    const waiting: ((output: unknown) => void)[] = []
    const signals: AbortSignal[] = []
    const definition = tool(name, {
      description: 'Waits.',
      input: any,
      run: (_input, { signal }) => {
        signals.push(signal)
        return new Promise(resolve => waiting.push(resolve))
      },
    })
    return {
      tool: definition,
      signals,
      started: (n: number) => until(() => waiting.length >= n),
      release: (output: unknown) => waiting.shift()!(output),
    }
  }

  describe('a task', () => {
    it('continues in another worker, from the log', async () => {
      const log = await world()
      const hold = held('hold')
      const waiter = agent('waiter', { on: 'go', run: async ctx => `got ${String(await ctx.call(hold.tool, 1))}` })
      const first = await log.worker({ use: [waiter] })
      const { correlationid, id } = await first.bus.publish({ type: 'go', data: null })
      await until(async () => (await eventsOf(first, correlationid)).some(event => event.type === 'tool.invoke'))
      await first.stop()
      const second = await log.worker({ use: [waiter, hold.tool] })
      await hold.started(1)
      hold.release('it')
      expect((await ended(second, correlationid, id)).data).toMatchObject({ output: 'got it' })
    })

    it('that cancelled a call continues in another worker', async () => {
      const log = await world()
      const [absent, hold] = [held('absent'), held('hold')]
      const waiter = agent('waiter', {
        on: 'go',
        async run(ctx) {
          await ctx.call(absent.tool, 1, { within: 10 }).catch(() => {})
          return ctx.call(hold.tool, 1)
        },
      })
      const first = await log.worker({ use: [waiter] })
      const { correlationid, id } = await first.bus.publish({ type: 'go', data: null })
      await until(async () => (await eventsOf(first, correlationid)).some(event => event.target === 'hold'))
      await first.stop()
      const second = await log.worker({ use: [waiter, hold.tool] })
      await hold.started(1)
      hold.release('it')
      expect((await ended(second, correlationid, id)).data).toMatchObject({ output: 'it' })
    })

    it('is one task even if its event is published several times', async () => {
      const worker = await (await world()).worker({ use: [agent('once', { on: 'go', run: () => 1 })] })
      const draft = { type: 'go', id: 'order-1', correlationid: '01900000-0000-7000-8000-000000000001', data: null }
      for (let i = 0; i < 3; i++) await worker.bus.publish(draft)
      await ended(worker, draft.correlationid, draft.id)
      expect(typesOf(await eventsOf(worker, draft.correlationid))).toEqual(['go', 'agent.task.completed'])
    })

    it('sleeps over a restart and wakes when it is due', async () => {
      const log = await world()
      const sleeper = agent('sleeper', {
        on: 'go',
        async run(ctx) {
          const before = ctx.now
          await ctx.sleep(300)
          return ctx.now - before
        },
      })
      const first = await log.worker({ use: [sleeper] })
      const { correlationid, id } = await first.bus.publish({ type: 'go', data: null })
      await until(async () => (await eventsOf(first, correlationid)).some(event => event.type === 'timer.set'))
      await first.stop()
      const second = await log.worker({ use: [sleeper] })
      expect((await ended(second, correlationid, id)).data).toMatchObject({ output: expect.any(Number) })
      const { output } = (await ended(second, correlationid, id)).data as { output: number }
      expect(output).toBeGreaterThanOrEqual(300)
    })

    it('gets call.expired if there is no answer in time, and the executor gets call.cancelled', async () => {
      const log = await world()
      const hold = held('hold')
      const impatient = agent('impatient', {
        on: 'go',
        run: (ctx, within: number) => ctx.call(hold.tool, 1, { within }).catch(error => error.code),
      })
      const worker = await log.worker({ use: [impatient, hold.tool] })
      // On a busy machine a call may expire before its executor has begun.
      for (let within = 150; hold.signals.length === 0; within *= 4)
        expect((await ask(worker, { type: 'go', data: within })).data).toMatchObject({ output: 'E_CALL_EXPIRED' })
      await until(() => hold.signals[0]?.aborted)
    })

    it('is not started if its caller ended while it was queued', async () => {
      const log = await world()
      const ran: unknown[] = []
      const late = tool('late', { description: '', input: any, run: input => void ran.push(input) })
      const caller = agent('caller', {
        on: 'go',
        run: ctx => ctx.call(late, 'stale', { within: 100 }).catch(error => error.code),
      })
      const other = agent('other', { on: 'go.again', run: ctx => ctx.call(late, 'fresh') })
      const first = await log.worker({ use: [caller, other] })
      expect((await ask(first, { type: 'go', data: null })).data).toMatchObject({ output: 'E_CALL_EXPIRED' })
      const second = await log.worker({ use: [caller, other, late] })
      await until(async () => {
        if (ran.length === 0) await ask(second, { type: 'go.again', data: null })
        return ran.length > 0
      })
      expect(ran).toEqual(['fresh'])
    })

    it('keeps its state in a program, over a restart and many turns', async () => {
      const log = await world()
      const add = tool('add', { description: '', input: z.number(), run: n => n + 1 })
      const counter = agent('counter', {
        on: 'go',
        init: () => ({ n: 0 }),
        evolve: (state: { n: number }, event) =>
          event.type === 'tool.result' ? { n: (event.data as { output: number }).output } : state,
        decide(state, _inputs, ctx) {
          if (state.n === 300) ctx.complete(state.n)
          else ctx.call({ type: 'tool.invoke', target: 'add', data: { input: state.n } })
        },
      })
      const first = await log.worker({ use: [counter, add] })
      const { correlationid, id } = await first.bus.publish({ type: 'go', data: null })
      await until(async () => (await eventsOf(first, correlationid)).length > 200)
      await first.stop()
      const second = await log.worker({ use: [counter, add] })
      expect((await ended(second, correlationid, id, 50_000)).data).toMatchObject({ output: 300 })
    })
  })

  describe('cancellation', () => {
    it('reaches running tools through child tasks, and a late result is ignored', async () => {
      const log = await world()
      const hold = held('hold')
      const child = agent('child', { run: ctx => ctx.call(hold.tool, 1) })
      const parent = agent('parent', { on: 'go', run: ctx => ctx.call(child, null) })
      const worker = await log.worker({ use: [parent, child, hold.tool] })
      const { correlationid, id } = await worker.bus.publish({ type: 'go', data: null })
      await hold.started(1)
      const invoke = (await eventsOf(worker, correlationid)).find(event => event.type === 'agent.invoke')!
      const task = invoke.id.split(':')[0]!
      await worker.bus.publish({
        type: 'agent.cancel',
        target: 'parent',
        subject: task,
        correlationid,
        data: { reason: 'enough' },
      })
      expect(await ended(worker, correlationid, id)).toMatchObject({
        type: 'agent.task.cancelled',
        data: { reason: 'enough' },
      })
      await until(() => hold.signals[0]?.aborted)
      await until(
        async () =>
          (await eventsOf(worker, correlationid)).filter(event => event.type === 'agent.task.cancelled').length === 2,
      )
    })
  })

  describe('nothing runs away', () => {
    it('two agents that start each other are stopped by the hop limit, which the attention list shows', async () => {
      const log = await world()
      const ping = agent('ping', { on: 'ping', run: ctx => ctx.emit({ type: 'pong', data: null }) })
      const pong = agent('pong', { on: 'pong', run: ctx => ctx.emit({ type: 'ping', data: null }) })
      const calm = agent('calm', { on: 'calm', run: () => 'fine' })
      const worker = await log.worker({ use: [ping, pong, calm], maxHops: 5 })
      const { correlationid } = await worker.bus.publish({ type: 'ping', data: null })
      const [stopped] = await until(async () => {
        const attention = await collect(worker.bus.driver.listDeferred())
        return attention.length > 0 && attention
      })
      expect(stopped).toMatchObject({ state: 'dead', reason: { code: 'E_TASK_HOPS' } })
      const rounds = (await eventsOf(worker, correlationid)).filter(event => event.type === 'agent.task.completed')
      expect(rounds).toHaveLength(5)
      expect((await ask(worker, { type: 'calm', data: null })).data).toMatchObject({ output: 'fine' })
    })

    it('a loop of calls is stopped by the budget of its correlation', async () => {
      const log = await world()
      const noop = tool('noop', { description: '', input: any, run: () => 1 })
      const greedy = agent('greedy', { on: 'go', run: async ctx => { for (;;) await ctx.call(noop, null) } }) // biome-ignore format: short
      const worker = await log.worker({ use: [greedy, noop], budget: { calls: 20 } })
      expect(await ask(worker, { type: 'go', data: null })).toMatchObject({
        type: 'agent.task.failed',
        data: { error: { code: 'E_BUDGET_EXCEEDED' } },
      })
      expect(await collect(worker.bus.driver.listDeferred())).toMatchObject([{ state: 'dead' }])
    })

    it('a run() agent whose journal is too long fails and names continueAs', async () => {
      const log = await world()
      const noop = tool('noop', { description: '', input: any, run: () => 1 })
      const endless = agent('endless', { on: 'go', maxTurns: 10, run: async ctx => { for (;;) await ctx.call(noop, null) } }) // biome-ignore format: short
      const worker = await log.worker({ use: [endless, noop] })
      expect((await ask(worker, { type: 'go', data: null })).data).toMatchObject({ error: { code: 'E_TASK_TURNS' } })
    })
  })

  describe('pause and resume', () => {
    it('parks the events of an agent, and delivers them on resume', async () => {
      const log = await world()
      const worker = await log.worker({ use: [agent('calm', { on: 'go', run: () => 'done' })] })
      await worker.pauses.set('agent', 'calm', true)
      const { correlationid, id } = await worker.bus.publish({ type: 'go', data: null })
      await until(async () => (await collect(worker.bus.driver.listDeferred())).some(each => each.state === 'parked'))
      await worker.pauses.set('agent', 'calm', false)
      expect((await ended(worker, correlationid, id)).type).toBe('agent.task.completed')
    })

    it('parks the calls of a tool in every process', async () => {
      const log = await world()
      const noop = tool('noop', { description: '', input: any, run: () => 'ran' })
      const caller = agent('caller', { on: 'go', run: ctx => ctx.call(noop, null) })
      const agents = await log.worker({ use: [caller] }, { only: ['agents'] })
      const tools = await log.worker({ use: [noop] }, { only: ['tools'] })
      await agents.pauses.set('tool', 'noop', true)
      await until(() => tools.pauses.has('tool', 'noop'))
      const { correlationid, id } = await agents.bus.publish({ type: 'go', data: null })
      await until(async () => (await collect(agents.bus.driver.listDeferred())).length === 1)
      await agents.pauses.set('tool', 'noop', false)
      expect((await ended(agents, correlationid, id)).data).toMatchObject({ output: 'ran' })
    })
  })

  describe('code that changes', () => {
    it('a new agent gets its events even if an older worker owns the shards', async () => {
      const log = await world()
      const old = agent('old', { on: 'go', run: () => 'old' })
      const fresh = agent('fresh', { on: 'go.new', run: () => 'new' })
      const older = await log.worker({ use: [old] })
      const newer = await log.worker({ use: [old, fresh] })
      const published = await Promise.all(
        Array.from({ length: 20 }, () => older.bus.publish({ type: 'go.new', data: null })),
      )
      await until(async () => (await collect(newer.bus.driver.listDeferred())).some(each => each.state === 'delayed'))
      await older.stop()
      for (const { correlationid, id } of published)
        expect((await ended(newer, correlationid, id, 15_000)).data).toMatchObject({ output: 'new' })
    })

    it('parks a task that the code no longer fits, and continues it when the code fits', async () => {
      const log = await world()
      const hold = held('hold')
      const noop = tool('noop', { description: '', input: any, run: () => 1 })
      const good = agent('changing', { on: 'go', run: async ctx => `ok ${String(await ctx.call(hold.tool, 1))}` })
      const bad = agent('changing', { on: 'go', run: async ctx => `bad ${await ctx.call(noop, 1)}` })
      const first = await log.worker({ use: [good, noop] })
      const { correlationid, id } = await first.bus.publish({ type: 'go', data: null })
      await until(async () => (await eventsOf(first, correlationid)).some(event => event.type === 'tool.invoke'))
      await first.stop()
      const second = await log.worker({ use: [bad, noop, hold.tool] })
      await hold.started(1)
      hold.release('it')
      const [parked] = await until(async () => {
        const list = await collect(second.bus.driver.listDeferred())
        return list.length > 0 && list
      })
      expect(parked).toMatchObject({ state: 'parked', reason: { code: 'E_PROGRAM_MISMATCH' } })
      await second.stop()
      const third = await log.worker({ use: [good, noop] })
      await third.bus.driver.redeliver({ id: parked!.id })
      expect((await ended(third, correlationid, id)).data).toMatchObject({ output: 'ok it' })
    })

    it('an older worker returns the task to a newer one', async () => {
      const log = await world()
      const hold = held('hold')
      const at = (version: number) => agent('versioned', { on: 'go', version, run: ctx => ctx.call(hold.tool, 1) })
      const newer = await log.worker({ use: [at(2)] })
      const { correlationid, id } = await newer.bus.publish({ type: 'go', data: null })
      await until(async () => (await eventsOf(newer, correlationid)).some(event => event.type === 'tool.invoke'))
      await newer.stop()
      const older = await log.worker({ use: [at(1), hold.tool] })
      await hold.started(1)
      hold.release('it')
      await until(async () =>
        (await collect(older.bus.driver.listDeferred())).some(each => each.reason.code === 'E_PROGRAM_VERSION'),
      )
      await older.stop()
      const again = await log.worker({ use: [at(2)] })
      expect((await ended(again, correlationid, id)).data).toMatchObject({ output: 'it' })
    })
  })

  describe('a new agent on existing events', () => {
    it('that subscribes to the ends of tasks does not receive its own, and receives answers that others wait for', async () => {
      const log = await world()
      const child = agent('child', { run: () => 'done' })
      const parent = agent('parent', { on: 'go', run: ctx => ctx.call(child, null) })
      const audit = agent('audit', { on: 'agent.task.*', run: ctx => ctx.event.source })
      const worker = await log.worker({ use: [parent, child, audit] })
      const { correlationid } = await worker.bus.publish({ type: 'go', data: null })
      const audited = async () => {
        const ends = (await eventsOf(worker, correlationid)).filter(event => event.source === '/agents/audit')
        return ends
          .filter(event => event.type === 'agent.task.completed')
          .map(event => (event.data as { output: string }).output)
      }
      await until(async () => expect((await audited()).toSorted()).toEqual(['/agents/child', '/agents/parent']) ?? true)
      await until(async () => (await worker.bus.driver.listGroups()).every(group => group.lag === 0))
      expect(await collect(worker.bus.driver.listDeferred())).toEqual([])
    })

    it('two that subscribe to the ends of tasks do not start each other forever', async () => {
      const log = await world()
      const watch = (name: string) => agent(name, { on: 'agent.task.*', run: () => null })
      const worker = await log.worker({
        use: [agent('one', { on: 'go', run: () => 1 }), watch('a'), watch('b')],
        maxHops: 4,
      })
      await worker.bus.publish({ type: 'go', data: null })
      await until(async () => (await collect(worker.bus.driver.listDeferred())).length >= 2)
      await until(async () => (await worker.bus.driver.listGroups()).every(group => group.lag === 0))
      expect(Number(await worker.bus.driver.head())).toBeLessThan(60)
    })

    it('joins in its own worker, without changes elsewhere', async () => {
      const log = await world()
      const worker = await log.worker({ use: [agent('worker', { on: 'go', run: () => 'done' })] })
      const audit = await log.worker({
        name: 'audit',
        use: [agent('audit', { on: 'agent.task.completed', run: ctx => ctx.event.id })],
      })
      const { correlationid, id } = await worker.bus.publish({ type: 'go', data: null })
      const done = await ended(worker, correlationid, id)
      expect((await ended(audit, correlationid, done.id)).data).toMatchObject({ program: 'audit', output: done.id })
    })
  })
})
