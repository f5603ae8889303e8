import { expect, it } from 'vitest'
import { z } from 'zod'
import { agent } from '../src/agents/agent.ts'
import { model } from '../src/models/model.ts'
import type { Turn } from '../src/tasks/program.ts'
import { until } from '../src/testing/wait.ts'
import { tidings } from './lib/cli.ts'
import { plainModel, readIn } from './lib/plain-model.ts'
import { desk, endOf, errorOf, refusal, retried, taskOf } from './lib/retry.ts'
import { ask, eventsOf, onAnyBus, onEveryBus } from './lib/world.ts'

onEveryBus(world => {
  it('by two commands at once starts one successor', async () => {
    const log = await world()
    const first = desk('first')
    first.fails('down')
    const buyer = agent('buyer', { on: 'goods.wanted', run: (ctx, what: string) => ctx.call(first.tool, what) })
    const worker = await log.worker({ use: [buyer, first.tool] })
    const failed = await ask(worker, { type: 'goods.wanted', data: 'tea' })
    first.works()
    const retries = await Promise.all([1, 2, 3].map(() => retried(log, taskOf(failed))))
    expect(new Set(retries.map(({ task }) => task)).size).toBe(1)
    expect(retries.filter(({ state }) => state === 'retried')).toHaveLength(1)
    await endOf(worker, retries[0]!.task)
    const events = await eventsOf(worker, failed.correlationid)
    expect(events.filter(({ type }) => type === 'agent.retry')).toHaveLength(1)
    expect(events.filter(({ type }) => type === 'agent.task.completed')).toHaveLength(1)
  })
})

onAnyBus(world => {
  it('of a task whose call failed repeats that call, with its key, and no answered call', async () => {
    const log = await world()
    const [first, second] = [desk('first'), desk('second')]
    second.fails('down')
    const buyer = agent('buyer', {
      on: 'goods.wanted',
      async run(ctx, what: string) {
        const a = await ctx.call(first.tool, what)
        const b = await ctx.call(second.tool, what)
        return [a, b]
      },
    })
    const worker = await log.worker({ use: [buyer, first.tool, second.tool] })
    const failed = await ask(worker, { type: 'goods.wanted', data: 'tea' })
    expect(errorOf(failed).code).toBe('E_TOOL_THREW')

    second.works('bought')
    const retries = await retried(log, taskOf(failed))
    expect(retries).toMatchObject({ state: 'retried', retryOf: taskOf(failed), asked: ['tool.invoke second'] })
    const end = await endOf(worker, retries.task)
    expect(end).toMatchObject({ type: 'agent.task.completed', data: { output: ['done', 'bought'] } })
    expect(end.correlationid).toBe(failed.correlationid)
    expect(end.replay).toBeUndefined()
    expect(first.runs).toHaveLength(1)
    expect(second.runs.map(({ key }) => key)).toEqual(second.runs.map(() => second.runs[0]!.key))
    expect(second.runs.length).toBeGreaterThan(1)
    const turns = (await eventsOf(worker, end.correlationid)).filter(({ id }) => id.startsWith(`${retries.task}:`))
    for (const { type, data } of turns) if (type === 'task.turn') expect((data as Turn).retryOf).toBe(taskOf(failed))

    const shown = (await tidings(log.place, ['trace', end.correlationid])).stdout
    expect(shown).toContain(`[retry of ${taskOf(failed).slice(-6)}]`)
    expect((await tidings(log.place, ['why', end.id])).stdout).toContain(`retry of ${taskOf(failed).slice(-6)}`)
    const whole = (await tidings(log.place, ['show', taskOf(failed).slice(-6)])).stdout
    expect(whole).toMatch(/^task \w{6} buyer v1 failed\n/)
  })

  it('of a retry continues from it, and keeps the first keys', async () => {
    const log = await world()
    const [first, second] = [desk('first'), desk('second')]
    second.fails('down')
    const buyer = agent('buyer', {
      on: 'goods.wanted',
      run: async (ctx, what: string) => [await ctx.call(first.tool, what), await ctx.call(second.tool, what)],
    })
    const worker = await log.worker({ use: [buyer, first.tool, second.tool] })
    const failed = await ask(worker, { type: 'goods.wanted', data: 'tea' })
    const once = await retried(log, taskOf(failed))
    expect((await endOf(worker, once.task)).type).toBe('agent.task.failed')
    expect(await retried(log, taskOf(failed))).toMatchObject({ state: 'existing', task: once.task, end: 'failed' })
    second.works('bought')
    const twice = await retried(log, once.task)
    expect(twice).toMatchObject({ state: 'retried', retryOf: once.task })
    expect((await endOf(worker, twice.task)).data).toMatchObject({ output: ['done', 'bought'] })
    expect(first.runs).toHaveLength(1)
    expect(new Set(second.runs.map(({ key }) => key)).size).toBe(1)
  })

  it('does not start a claimed call twice: without a result its outcome is unknown', async () => {
    const log = await world()
    const pay = desk('pay', { atMostOnce: true })
    pay.fails('the line went dead')
    const buyer = agent('buyer', { on: 'goods.wanted', run: (ctx, what: string) => ctx.call(pay.tool, what) })
    const worker = await log.worker({ use: [buyer, pay.tool] })
    const failed = await ask(worker, { type: 'goods.wanted', data: 'tea' })
    pay.works('paid')
    const retries = await retried(log, taskOf(failed))
    expect(errorOf(await endOf(worker, retries.task)).code).toBe('E_TOOL_OUTCOME_UNKNOWN')
    expect(pay.runs).toHaveLength(1)
  })

  it('of a turn that failed with open calls keeps their keys and uses their results', async () => {
    const log = await world()
    const [pay, other] = [desk('pay', { atMostOnce: true }), desk('other')]
    pay.works('paid')
    const bug = { is: true }
    const buyer = agent('buyer', {
      on: 'goods.wanted',
      async run(ctx, what: string) {
        await ctx.call(other.tool, what)
        const paid = ctx.call(pay.tool, what)
        if (bug.is) throw new Error('a bug')
        return await paid
      },
    })
    const worker = await log.worker({ use: [buyer, pay.tool, other.tool] })
    const failed = await ask(worker, { type: 'goods.wanted', data: 'tea' })
    bug.is = false
    // It may have been taken back in time, before anybody began it: then it is done now.
    const retries = await retried(log, taskOf(failed))
    const end = await endOf(worker, retries.task)
    const request = (await eventsOf(worker, end.correlationid)).filter(
      ({ type, target }) => type === 'tool.invoke' && target === 'pay',
    )
    expect(request.map(({ retryof }) => retryof)).toEqual([undefined, request[0]!.id])
    expect(pay.runs.map(({ key }) => key)).toEqual([request[0]!.id])
    expect(other.runs).toHaveLength(1)
  })

  it('of a model agent continues its conversation', async () => {
    const log = await world()
    const { model: languageModel, asked } = plainModel(prompt => {
      const [question, ...found] = readIn(prompt)
      if (found.length === 0) return [{ id: 'a', tool: 'look', input: { q: question } }]
      if (isDown) throw new Error('the model is down')
      return `${question} ${found.join(' ')}`
    })
    let isDown = true
    const look = desk('look')
    look.works('42')
    const thinker = agent('thinker', {
      on: 'question.asked',
      model: model(languageModel, { name: 'plain', retry: { maxAttempts: 1 } }),
      instructions: 'Think.',
      tools: [look.tool],
    })
    const worker = await log.worker({ use: [thinker, look.tool] })
    const failed = await ask(worker, { type: 'question.asked', data: 'Why?' })
    expect(failed.type).toBe('agent.task.failed')
    isDown = false
    const before = asked.length
    const retries = await retried(log, taskOf(failed))
    expect((await endOf(worker, retries.task)).data).toMatchObject({ output: expect.stringContaining('42') })
    expect(look.runs).toHaveLength(1)
    expect(asked.length - before).toBe(1)
  })

  it('of a model agent that failed because of what its model answered asks the model again', async () => {
    const log = await world()
    let says = '{}'
    const { model: languageModel, asked } = plainModel(() => says)
    const counter = agent('counter', {
      on: 'question.asked',
      model: model(languageModel, { name: 'plain' }),
      instructions: 'Count.',
      output: z.object({ n: z.number() }),
    })
    const worker = await log.worker({ use: [counter] })
    const failed = await ask(worker, { type: 'question.asked', data: 'How many?' })
    expect(errorOf(failed).code).toBe('E_MODEL_OUTPUT')
    says = '{"n":7}'
    const before = asked.length
    const retries = await retried(log, taskOf(failed))
    expect(retries.asked).toEqual(['model.invoke plain'])
    expect((await endOf(worker, retries.task)).data).toMatchObject({ output: { n: 7 } })
    expect(asked.length - before).toBe(1)
  })

  it('continues with the current code where the code threw', async () => {
    const log = await world()
    const first = desk('first')
    const bug = { is: true }
    const buyer = agent('buyer', {
      on: 'goods.wanted',
      async run(ctx, what: string) {
        const got = await ctx.call(first.tool, what)
        if (bug.is) throw new Error('a bug')
        return got
      },
    })
    const worker = await log.worker({ use: [buyer, first.tool] })
    const failed = await ask(worker, { type: 'goods.wanted', data: 'tea' })
    expect(errorOf(failed)).toMatchObject({ code: 'E_PROGRAM_FAILED' })
    bug.is = false
    const retries = await retried(log, taskOf(failed))
    expect(retries.asked).toEqual([])
    expect((await endOf(worker, retries.task)).data).toMatchObject({ output: 'done' })
    expect(first.runs).toHaveLength(1)
  })

  it('counts earlier spending against the budget', async () => {
    const log = await world()
    const first = desk('first')
    const buyer = agent('buyer', {
      on: 'goods.wanted',
      async run(ctx, what: string) {
        for (let i = 0; i < 10; i++) await ctx.call(first.tool, what)
      },
    })
    const worker = await log.worker({ use: [buyer, first.tool], budget: { calls: 3 } })
    const failed = await ask(worker, { type: 'goods.wanted', data: 'tea' })
    expect(errorOf(failed).code).toBe('E_BUDGET_EXCEEDED')
    const retries = await retried(log, taskOf(failed))
    expect(errorOf(await endOf(worker, retries.task)).code).toBe('E_BUDGET_EXCEEDED')
    expect(first.runs).toHaveLength(3)
  })

  it('refuses a task that has not failed, and says what to do', async () => {
    const log = await world()
    const quick = agent('quick', { on: 'quick.wanted', run: () => 'done' })
    const slow = agent('slow', {
      on: 'slow.wanted',
      async run(ctx) {
        await ctx.sleep('1h')
        return 'slept'
      },
    })
    const worker = await log.worker({ use: [quick, slow] })
    const done = await ask(worker, { type: 'quick.wanted', data: null })
    expect(await refusal(log, taskOf(done))).toMatchObject({
      code: 'E_RETRY_REFUSED',
      message: expect.stringContaining('is completed'),
      next: expect.stringContaining('tidings fork'),
    })
    const { correlationid } = await worker.bus.publish({ type: 'slow.wanted', data: null })
    const turn = await until(async () =>
      (await eventsOf(worker, correlationid)).find(({ type }) => type === 'task.turn'),
    )
    expect((await refusal(log, taskOf(turn))).message).toContain('has not ended')

    await tidings(log.place, ['attention', 'cancel', taskOf(turn)])
    expect((await endOf(worker, taskOf(turn))).type).toBe('agent.task.cancelled')
    // A cancelled task goes on where it was.
    const retries = await retried(log, taskOf(turn))
    expect(retries.asked).toEqual(['timer.set'])
  })
})
