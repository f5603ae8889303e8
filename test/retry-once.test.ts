import { expect, it } from 'vitest'
import { z } from 'zod'
import { agent } from '../src/agents/agent.ts'
import { workflow } from '../src/index.ts'
import { Replayer } from '../src/replay/replayer.ts'
import { sourceFromBus } from '../src/replay/source.ts'
import { Programs } from '../src/tasks/programs.ts'
import { until } from '../src/testing/wait.ts'
import { tidings } from './lib/cli.ts'
import { desk, endOf, refusal, retried, taskOf } from './lib/retry.ts'
import { ask, eventsOf, onAnyBus } from './lib/world.ts'

const any = z.any()

/* A retry pays once, however it is interrupted and whoever else retries. */

onAnyBus(world => {
  /** A shop whose seller paid, and could not post. */
  async function failedShop() {
    const log = await world()
    const [pay, post, note] = [desk('pay'), desk('post'), desk('note')]
    post.fails('closed')
    const bug = { is: false }
    const seller = agent('seller', {
      run: async (ctx, what: string) => {
        const paid = await ctx.call(bug.is ? note.tool : pay.tool, what)
        return [paid, await ctx.call(post.tool, what), await ctx.call(note.tool, what)]
      },
    })
    const shop = agent('shop', { on: 'goods.wanted', run: (ctx, what: string) => ctx.call(seller, what) })
    const use = [shop, seller, pay.tool, post.tool, note.tool]
    const worker = await log.worker({ use })
    const failed = await ask(worker, { type: 'goods.wanted', data: 'tea' })
    const child = (await eventsOf(worker, failed.correlationid)).find(
      ({ type, call }) => type === 'agent.task.failed' && call !== undefined,
    )!
    post.works('posted')
    return { log, worker, use, failed: taskOf(failed), child: taskOf(child), pay, post, note, bug }
  }

  it('continues an agent once if both it and its caller are retried', async () => {
    const { log, use, failed, child, note } = await failedShop()
    await log.stop()
    const retries = await retried(log, failed)
    expect(await refusal(log, child)).toMatchObject({
      code: 'E_RETRY_REFUSED',
      message: expect.stringContaining(`continues with task ${retries.task}`),
    })
    const next = await log.worker({ use })
    expect(await endOf(next, retries.task)).toMatchObject({ type: 'agent.task.completed' })
    expect(note.runs).toHaveLength(1)
  })

  it('does not restart an agent whose retry was cancelled before it began', async () => {
    const { log, use, failed, child, pay, bug } = await failedShop()
    bug.is = true
    const retries = await retried(log, failed)
    const worker = await log.worker({ use })
    // The code of the agent does not fit: its retry is parked.
    await until(async () => (await tidings(log.place, ['attention', '--json'])).stdout.includes('"parked"'))
    await tidings(log.place, ['attention', 'cancel', retries.task])
    expect((await endOf(worker, retries.task)).type).toBe('agent.task.cancelled')
    bug.is = false
    const again = await retried(log, retries.task)
    expect(again.children).toEqual([child])
    expect(await endOf(worker, again.task)).toMatchObject({ type: 'agent.task.completed' })
    expect(pay.runs).toHaveLength(1)
  })

  it('replaces a retry that was cancelled before it began', async () => {
    const { log, use, failed, child, pay, bug } = await failedShop()
    bug.is = true
    const retries = await retried(log, child)
    const worker = await log.worker({ use })
    await until(async () => (await tidings(log.place, ['attention', '--json'])).stdout.includes('"parked"'))
    await worker.bus.publish({
      type: 'agent.cancel',
      target: 'seller',
      subject: retries.task,
      correlationid: retries.task.slice(0, 36),
      data: { reason: 'by hand' },
    })
    expect((await endOf(worker, retries.task)).type).toBe('agent.task.cancelled')
    bug.is = false
    const again = await retried(log, retries.task)
    expect(again).toMatchObject({ state: 'retried', retryOf: retries.task })
    expect(await endOf(worker, again.task)).toMatchObject({ type: 'agent.task.completed' })
    expect(await endOf(worker, (await retried(log, failed)).task)).toMatchObject({ type: 'agent.task.completed' })
    expect(pay.runs).toHaveLength(1)
  })

  it('does not restart an agent that was called in the turn that failed', async () => {
    const log = await world()
    const [pay, post] = [desk('pay'), desk('post')]
    post.fails('closed')
    const seller = agent('seller', {
      run: async (ctx, what: string) => [await ctx.call(pay.tool, what), await ctx.call(post.tool, what)],
    })
    const bug = { is: true }
    const shop = agent('shop', {
      on: 'goods.wanted',
      async run(ctx, what: string) {
        const sold = ctx.call(seller, what)
        if (bug.is) throw new Error('a bug')
        return sold
      },
    })
    const worker = await log.worker({ use: [shop, seller, pay.tool, post.tool] })
    const failed = await ask(worker, { type: 'goods.wanted', data: 'tea' })
    bug.is = false
    const once = await retried(log, taskOf(failed))
    expect(await endOf(worker, once.task)).toMatchObject({ type: 'agent.task.failed' })
    post.works('posted')
    const twice = await retried(log, once.task)
    expect((await endOf(worker, twice.task)).data).toMatchObject({ output: ['done', 'posted'] })
    expect(new Set(pay.runs.map(({ key }) => key)).size).toBe(1)
    expect(new Set(post.runs.map(({ key }) => key)).size).toBe(1)
    const replay = new Replayer(new Programs([shop, seller].map(({ definition }) => definition)))
    const { correlationid: correlation } = failed
    for await (const { position, event } of sourceFromBus(worker.bus, { correlation }).events())
      await replay.add(position, event)
    const { divergences } = replay.finish()
    expect(divergences.filter(({ task }) => task !== taskOf(failed))).toEqual([])
  })

  it('applies one answer of a repeated call that was answered twice', async () => {
    const log = await world()
    const [slow, bad] = [desk('slow'), desk('bad')]
    bad.fails('down')
    const buyer = agent('buyer', {
      on: 'goods.wanted',
      run: (ctx, what: string) =>
        ctx.all([branch => branch.call(slow.tool, what), branch => branch.call(bad.tool, what)]),
    })
    const worker = await log.worker({ use: [buyer, bad.tool] })
    const failed = await ask(worker, { type: 'goods.wanted', data: 'tea' })
    const once = await retried(log, taskOf(failed))
    expect((await endOf(worker, once.task)).type).toBe('agent.task.failed')
    const { correlationid } = failed
    const calls = (await eventsOf(worker, correlationid)).filter(
      ({ target, type }) => target === 'slow' && type === 'tool.invoke',
    )
    expect(calls).toHaveLength(2)
    for (const { id } of calls)
      await worker.bus.publish({
        id: `${id}:result`,
        type: 'tool.result',
        target: 'buyer',
        call: id,
        correlationid,
        data: { output: 'slept' },
      })
    bad.works()
    const twice = await retried(log, once.task)
    expect((await endOf(worker, twice.task)).data).toMatchObject({ output: ['slept', 'done'] })
    const retry = (await eventsOf(worker, correlationid)).findLast(({ type }) => type === 'agent.retry')!
    const { inputs } = (await worker.bus.resolve(retry)).data as { inputs: unknown[] }
    expect(inputs).toHaveLength(1)
  })

  it('does not restart an instance of a workflow that ended by its definition', async () => {
    const log = await world()
    const pay = desk('pay')
    const seller = workflow('seller', { input: any, within: '1h' })
      .call('paid', pay.tool, s => s.event)
      .fail(() => 'sold out')
    const shop = agent('shop', { on: 'goods.wanted', run: (ctx, what: string) => ctx.call(seller, what) })
    const worker = await log.worker({ use: [shop, seller, pay.tool] })
    const failed = await ask(worker, { type: 'goods.wanted', data: 'tea' })
    expect(await refusal(log, taskOf(failed))).toMatchObject({
      code: 'E_RETRY_REFUSED',
      message: expect.stringContaining('ended as its definition says'),
    })
    expect(pay.runs).toHaveLength(1)
  })
})
