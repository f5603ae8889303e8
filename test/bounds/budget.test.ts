import { randomUUIDv7 } from 'node:crypto'
import { expect, it, vi } from 'vitest'
import { z } from 'zod'
import { agent } from '../../src/agents/agent.ts'
import { noopModel } from '../../bench/lib/noop-model.ts'
import { by, on, workflow } from '../../src/index.ts'
import { model } from '../../src/models/model.ts'
import { correlationOf, parseId, shardOf } from '../../src/bus/ids.ts'
import type { CloudEvent } from '../../src/event.ts'
import type { RunningApp } from '../../src/runtime/start.ts'
import { defaultBudget, BudgetLedger, noSpending } from '../../src/tasks/budget.ts'
import type { Turn } from '../../src/tasks/program.ts'
import { collect, until } from '../../src/testing/wait.ts'
import { tool } from '../../src/tools/tool.ts'
import { ask, ended, eventsOf, onAnyBus } from '../lib/world.ts'

const any = z.any()
const noop = tool('noop', { description: '', input: any, run: () => 1 })

/** What the turns on the log emitted, ends of tasks aside: those are never refused. */
const emitted = (events: readonly CloudEvent[]) =>
  events
    .filter(({ type }) => type === 'task.turn')
    .flatMap(({ data }) => (data as Turn).emits)
    .filter(({ type }) => !type.startsWith('agent.task.'))

const calls = async (worker: RunningApp, correlation: string) =>
  (await eventsOf(worker, correlation)).filter(({ type }) => type === 'tool.invoke').length

const isIdle = async ({ bus }: RunningApp) => (await bus.driver.listGroups()).every(({ lag }) => lag === 0)

onAnyBus(world => {
  it('events that cause events stop at the budget, and what then begins no task is on the attention list', async () => {
    const log = await world()
    const pump = agent('pump', {
      on: 'pump',
      run(ctx) {
        for (let n = 0; n < 3; n++) ctx.emit({ type: 'pump', data: null })
      },
    })
    const worker = await log.worker({ use: [pump], budget: { events: 50 } })
    const { correlationid } = await worker.bus.publish({ type: 'pump', data: null })
    await until(async () => (await collect(worker.bus.driver.listDeferred())).length > 0 && isIdle(worker))
    const events = await eventsOf(worker, correlationid)
    expect(emitted(events).length).toBeGreaterThan(20)
    const spent = events.filter(({ id }) => parseId(id)?.ordinal !== undefined).length
    expect(spent).toBeLessThanOrEqual(50)
    for (const { reason } of await collect(worker.bus.driver.listDeferred()))
      expect([reason.code, reason.message]).toEqual(['E_BUDGET_EXCEEDED', expect.stringContaining(' of 50 events')])
  })

  it('one turn that asks for more than there is emits nothing but its failure', async () => {
    const log = await world()
    const flood = agent('flood', {
      on: 'flood',
      run(ctx, { each, count }: { each: number; count: number }) {
        for (let n = 0; n < count; n++) ctx.emit({ type: 'drop', data: 'x'.repeat(each) })
      },
    })
    const worker = await log.worker({ use: [flood], budget: { events: 100, bytes: 10_000 } })
    const many = await ask(worker, { type: 'flood', data: { each: 1, count: 200 } })
    expect(many.data).toMatchObject({
      error: { code: 'E_BUDGET_EXCEEDED', message: expect.stringContaining('events') },
    })
    const large = await ask(worker, { type: 'flood', data: { each: 5_000, count: 3 } })
    expect(large.data).toMatchObject({
      error: { code: 'E_BUDGET_EXCEEDED', message: expect.stringContaining('bytes') },
    })
    for (const { correlationid } of [many, large]) expect(emitted(await eventsOf(worker, correlationid))).toEqual([])
    expect((await ask(worker, { type: 'flood', data: { each: 3_000, count: 3 } })).type).toBe('agent.task.completed')
  })

  it('what was spent counts in the next worker, however often that changes', async () => {
    const log = await world()
    const greedy = agent('greedy', { on: 'go', run: async ctx => { for (;;) await ctx.call(noop, null) } }) // biome-ignore format: short
    const budget = { calls: 40 }
    let worker = await log.worker({ use: [greedy, noop], budget })
    const { correlationid, id } = await worker.bus.publish({ type: 'go', data: null })
    for (let round = 1; round <= 8; round++) {
      const enough = round * 4
      await until(async () => (await calls(worker, correlationid)) >= enough)
      await log.stop()
      worker = await log.worker({ use: [greedy, noop], budget })
    }
    expect(await ended(worker, correlationid, id, 20_000)).toMatchObject({
      data: { error: { code: 'E_BUDGET_EXCEEDED' } },
    })
    expect(await calls(worker, correlationid)).toBe(40)
  })

  it('the spending of ended tasks counts too', async () => {
    const log = await world()
    const modest = agent('modest', {
      on: 'go',
      async run(ctx) {
        for (let n = 0; n < 15; n++) await ctx.call(noop, null)
      },
    })
    const first = await log.worker({ use: [modest, noop], budget: { calls: 20 } })
    const { correlationid } = await ask(first, { type: 'go', data: null })
    await log.stop()
    const second = await log.worker({ use: [modest, noop], budget: { calls: 20 } })
    const end = await ask(second, { type: 'go', correlationid, data: null })
    expect(end.data).toMatchObject({
      error: { code: 'E_BUDGET_EXCEEDED', message: expect.stringContaining('20 of 20 calls') },
    })
    expect(await calls(second, correlationid)).toBe(20)
  })

  it('the rest of a batch counts when another worker receives it', async () => {
    const log = await world()
    const modest = agent('modest', { on: 'go', run: ctx => ctx.call(noop, null) })
    const { bus } = await log.worker({ use: [modest, noop] })
    const { correlationid } = await ask({ bus } as RunningApp, { type: 'go', data: null })
    const budget = { ...defaultBudget, calls: 1 }
    // As the engine asks for an event of this correlation that nobody was handed before.
    using charge = new BudgetLedger(bus, budget).charge(correlationid, true)
    expect(await charge.tryReserve({ ...noSpending, calls: 1 })).toMatch(/has spent 1 of 1 calls/)
  })

  it('a correlation that began after its shard was acquired is not read from the log', async () => {
    const log = await world()
    const { bus } = await log.worker({ use: [noop] })
    const looks = vi.spyOn(bus.driver, 'newestTurns')
    const ledger = new BudgetLedger(bus, defaultBudget)
    const first = randomUUIDv7()
    const minted = Date.now()
    ledger.charge(first, true)
    const { shards } = bus.driver
    const later = await until(
      () => Date.now() > minted && [randomUUIDv7()].find(each => shardOf(each, shards) === shardOf(first, shards)),
    )
    using charge = ledger.charge(later, true)
    expect(await charge.tryReserve({ ...noSpending, calls: 1 })).toBeUndefined()
    expect(looks).not.toHaveBeenCalled()
  })

  it('an agent that continues as itself forever is stopped', async () => {
    const log = await world()
    const endless = agent('endless', { on: 'go', run: ctx => ctx.continueAs(null) })
    const worker = await log.worker({ use: [endless], budget: { calls: 10 } })
    const { correlationid } = await worker.bus.publish({ type: 'go', data: null })
    const failed = await until(async () =>
      (await eventsOf(worker, correlationid)).find(({ type }) => type === 'agent.task.failed'),
    )
    expect(failed.data).toMatchObject({ error: { code: 'E_BUDGET_EXCEEDED' } })
    expect((await eventsOf(worker, correlationid)).filter(({ type }) => type === 'agent.invoke')).toHaveLength(10)
    expect(correlationOf(failed.id)).toBe(correlationid)
  })

  it('tokens are known with the answer: the overshoot is that of the open calls, and is shown', async () => {
    const log = await world()
    const talker = agent('talker', {
      on: 'go',
      model: model(noopModel('noop', Infinity), { name: 'talkative' }),
      instructions: '',
      tools: [noop],
    })
    const worker = await log.worker({ use: [talker, noop], budget: { tokens: 7 } })
    const end = await ask(worker, { type: 'go', data: null })
    const results = (await eventsOf(worker, end.correlationid)).filter(({ type }) => type === 'model.result')
    const tokens = results.reduce((sum, { data }) => {
      const { usage } = data as { usage: { input: number; output: number } }
      return sum + usage.input + usage.output
    }, 0)
    expect(end.data).toMatchObject({
      error: {
        code: 'E_BUDGET_EXCEEDED',
        message: expect.stringContaining(`has spent ${tokens} of 7 tokens`),
      },
    })
  })

  it('workflows that feed each other through their keys are stopped', async () => {
    const log = await world()
    const feeds = (name: string, hears: string, says: string) =>
      workflow(name, { key: [by(hears, e => e.id)], within: '1h' })
        .when('first', on(hears).as('first'), { within: '1h' })
        .repeat(
          'round',
          flow => flow.emit(says, s => ({ id: s.first.id })).when('next', on(hears).as('next'), { within: '1h' }),
          { until: s => s.next.isLast, maxRounds: 100_000 },
        )
    const worker = await log.worker({
      use: [feeds('ping', 'ping', 'pong'), feeds('pong', 'pong', 'ping')],
      budget: { events: 60 },
    })
    await worker.bus.publish({ type: 'ping', data: { id: 'a' } })
    const dead = await until(async () =>
      (await collect(worker.bus.driver.listDeferred())).find(({ state }) => state === 'dead'),
    )
    expect([dead.reason.code, dead.reason.message]).toEqual([
      'E_BUDGET_EXCEEDED',
      expect.stringContaining(' of 60 events'),
    ])
  })
})
