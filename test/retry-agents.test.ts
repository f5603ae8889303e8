import { expect, it } from 'vitest'
import { agent } from '../src/agents/agent.ts'
import { Replayer } from '../src/replay/replayer.ts'
import { sourceFromBus } from '../src/replay/source.ts'
import { Programs } from '../src/tasks/programs.ts'
import { until } from '../src/testing/wait.ts'
import { tidings } from './lib/cli.ts'
import { desk, endOf, refusal, retried, taskOf } from './lib/retry.ts'
import { ask, eventsOf, onAnyBus } from './lib/world.ts'

/* A retry of a task that others had asked, or that had asked others. */

onAnyBus(world => {
  it('of one that had a caller does not answer the caller a second time, and says so', async () => {
    const log = await world()
    const first = desk('first')
    first.fails('down')
    const helper = agent('helper', { run: (ctx, what: string) => ctx.call(first.tool, what) })
    const asker = agent('asker', {
      on: 'goods.wanted',
      async run(ctx, what: string) {
        return ctx.call(helper, what).catch(() => 'no help')
      },
    })
    const worker = await log.worker({ use: [asker, helper, first.tool] })
    const answered = await ask(worker, { type: 'goods.wanted', data: 'tea' })
    expect(answered.data).toMatchObject({ output: 'no help' })
    const events = await eventsOf(worker, answered.correlationid)
    const failed = events.find(({ type }) => type === 'agent.task.failed')!
    first.works('helped')
    const retries = await retried(log, taskOf(failed))
    expect(retries.callersAnswered).toBe(1)
    const end = await endOf(worker, retries.task)
    expect(end).toMatchObject({ type: 'agent.task.completed', data: { output: 'helped' } })
    expect([end.call, end.target]).toEqual([undefined, undefined])
    expect((await refusal(log, taskOf(answered))).code).toBe('E_RETRY_REFUSED')
  })

  it('of one whose sub-agent failed continues the sub-agent too, with its keys', async () => {
    const log = await world()
    const [pay, post] = [desk('pay', { atMostOnce: true }), desk('post')]
    pay.works('paid')
    post.fails('closed')
    const seller = agent('seller', {
      run: async (ctx, what: unknown) => [await ctx.call(pay.tool, what), await ctx.call(post.tool, what)],
    })
    const shop = agent('shop', { on: 'goods.wanted', run: (ctx, what: unknown) => ctx.call(seller, what) })
    const worker = await log.worker({ use: [shop, seller, pay.tool, post.tool] })
    // As deep as data may be, once the input of the call is around it.
    const deep = Array.from({ length: 60 }).reduce((inner: unknown) => [inner], 'tea')
    const failed = await ask(worker, { type: 'goods.wanted', data: deep })
    post.works('posted')
    const retries = await retried(log, taskOf(failed))
    expect(retries).toMatchObject({ asked: ['agent.invoke seller'], callersAnswered: 0 })
    expect(retries.children).toHaveLength(1)
    expect((await endOf(worker, retries.task)).data).toMatchObject({ output: ['paid', 'posted'] })
    expect(pay.runs).toHaveLength(1)
    expect(new Set(post.runs.map(({ key }) => key)).size).toBe(1)
  })

  it('of one whose sub-agent was retried separately uses that result', async () => {
    const log = await world()
    const [pay, post] = [desk('pay'), desk('post')]
    post.fails('closed')
    const seller = agent('seller', {
      run: async (ctx, what: string) => [await ctx.call(pay.tool, what), await ctx.call(post.tool, what)],
    })
    const shop = agent('shop', { on: 'goods.wanted', run: (ctx, what: string) => ctx.call(seller, what) })
    const worker = await log.worker({ use: [shop, seller, pay.tool, post.tool] })
    const failed = await ask(worker, { type: 'goods.wanted', data: 'tea' })
    const child = (await eventsOf(worker, failed.correlationid)).find(
      ({ type, call }) => type === 'agent.task.failed' && call !== undefined,
    )!
    // By a filter they are one: the agent goes on with the one that had asked it.
    const counted = await tidings(log.place, ['retry', '--code', 'E_TOOL_THREW', '--json'])
    expect(JSON.parse(counted.stdout)).toMatchObject({ found: 1, withCallers: 1, tasks: [taskOf(failed)] })
    post.works('posted')
    const own = await retried(log, taskOf(child))
    expect(own.callersAnswered).toBe(1)
    await endOf(worker, own.task)
    const runs = post.runs.length
    const retries = await retried(log, taskOf(failed))
    expect(retries).toMatchObject({ asked: [], children: [] })
    expect((await endOf(worker, retries.task)).data).toMatchObject({ output: ['done', 'posted'] })
    expect([pay.runs.length, post.runs.length]).toEqual([1, runs])
  })

  it('waits for a worker, and replays without a divergence, with its sub-agents', async () => {
    const log = await world()
    const [first, second] = [desk('first'), desk('second')]
    second.fails('down')
    const helper = agent('helper', {
      run: async (ctx, what: string) => [await ctx.call(first.tool, what), await ctx.call(second.tool, what)],
    })
    const bug = { is: true }
    const asker = agent('asker', {
      on: 'goods.wanted',
      async run(ctx, what: string) {
        const [helped] = await ctx.all<unknown>([branch => branch.call(helper, what), branch => branch.sleep('1h')])
        return helped
      },
    })
    const sent = agent('sent', {
      on: 'bug.met',
      async run(ctx, what: string) {
        const got = ctx.call(first.tool, what)
        if (bug.is) throw new Error('a bug')
        return got
      },
    })
    const use = [asker, helper, sent, first.tool, second.tool]
    const worker = await log.worker({ use })
    const failed = await ask(worker, { type: 'goods.wanted', data: 'tea' })
    const met = await ask(worker, { type: 'bug.met', data: 'tea' })
    const stopped = [failed, met]
    await log.stop()
    bug.is = false
    second.works('found')
    const retries = []
    for (const event of stopped) retries.push(await retried(log, taskOf(event)))
    const next = await log.worker({ use })
    const { bus } = next
    await until(async () =>
      (await eventsOf(next, failed.correlationid)).find(
        ({ type, data }) => type === 'agent.task.completed' && (data as { program: string }).program === 'helper',
      ),
    )
    expect((await endOf(next, retries[1]!.task)).data).toMatchObject({ output: 'done' })
    for (const correlation of [failed.correlationid, met.correlationid]) {
      const replay = new Replayer(new Programs([asker, helper, sent].map(({ definition }) => definition)))
      for await (const { position, event } of sourceFromBus(bus, { correlation }).events())
        await replay.add(position, event)
      const { divergences, skipped, tasks } = replay.finish()
      // Only the turn with the bug, which is fixed, comes out otherwise.
      const others = divergences.filter(({ task }) => task !== taskOf(met))
      expect({ others, skipped }).toEqual({ others: [], skipped: [] })
      expect(tasks).toBeGreaterThan(1)
    }
  })
})
