import { expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { agent } from '../src/agents/agent.ts'
import { strangler, type StranglerOptions } from '../src/runtime/strangler.ts'
import type { RunningApp } from '../src/runtime/start.ts'
import type { Decision } from '../src/strangler/control.ts'
import type { LaneComparison } from '../src/strangler/comparison.ts'
import type { Measurement } from '../src/strangler/meter.ts'
import { until } from '../src/testing/wait.ts'
import { tool } from '../src/tools/tool.ts'
import { onAnyBus, type World } from './lib/world.ts'

interface Order {
  readonly user: string
  readonly amount: number
}

const by = { by: 'ann' }

const calls: string[] = []
const book = tool('book', {
  description: 'Books.',
  input: z.object({ user: z.string() }),
  run: ({ user }) => {
    calls.push(user)
    return true
  },
})
const price = tool('price', {
  description: 'Tells the price.',
  input: z.object({ amount: z.number() }),
  readOnly: true,
  run: ({ amount }) => amount * 2,
})
const clerk = agent('clerk', {
  async run(ctx, order: Order) {
    const total = await ctx.call(price, { amount: order.amount })
    await ctx.call(book, { user: order.user })
    return { total, side: 'candidate' }
  },
})

async function eventsOfType<T>(bus: RunningApp['bus'], type: string): Promise<T[]> {
  const found: T[] = []
  for await (const { event } of bus.read({ filter: [{ types: [type] }] }))
    found.push((await bus.resolve(event)).data as T)
  return found
}

async function open<Input, Output>(running: RunningApp, options: Partial<StranglerOptions<Input, Output>> = {}) {
  const opened = strangler('orders', {
    old: ({ amount }: Order) => ({ total: amount * 2, side: 'old' }),
    candidate: clerk,
    key: (order: Order) => order.user,
    log: running,
    ...(options as object),
  })
  await opened.open()
  onTestFinished(() => opened.close())
  return opened
}

onAnyBus(world => {
  const start = async (place?: World) => await (place ?? (await world())).worker({ use: [clerk, book, price] })

  test('old answers until a percentage is set, and each key stays on its side while it grows', async () => {
    const orders = await open(await start())
    const users = Array.from({ length: 12 }, (_, i) => `user-${i}`)
    const sides = async () =>
      Object.fromEntries(
        await Promise.all(users.map(async user => [user, (await orders.run({ user, amount: 1 })).side] as const)),
      )
    expect(new Set(Object.values(await sides()))).toEqual(new Set(['old']))
    let before = new Set<string>()
    for (const percent of [30, 60, 100]) {
      await orders.set({ percent }, by)
      const now = await sides()
      const moved = new Set(users.filter(user => now[user] === 'candidate'))
      expect(before.isSubsetOf(moved)).toBe(true)
      expect(await sides()).toEqual(now)
      before = moved
    }
    expect(before.size).toBe(users.length)
    await orders.set({ never: ['user-3'] }, by)
    expect((await orders.run({ user: 'user-3', amount: 1 })).side).toBe('old')
    await orders.rollback({ ...by, why: 'a test' })
    expect(new Set(Object.values(await sides()))).toEqual(new Set(['old']))
  })

  test('a mirrored request has no effects, and its answer reaches nobody', async () => {
    const running = await start()
    const orders = await open(running, {
      repeatable: true,
      compare: { ignore: ['side'] },
      stubs: { 'tool/book': true },
    })
    await orders.set({ mirror: 100 }, by)
    calls.length = 0
    expect(await orders.run({ user: 'ann', amount: 4 })).toEqual({ total: 8, side: 'old' })
    const [comparison] = await until(async () => {
      const found = await eventsOfType<LaneComparison>(running.bus, 'strangler.compared')
      return found.length > 0 && found
    })
    expect(comparison).toMatchObject({
      served: 'old',
      differences: [],
      noise: [],
      candidate: { tools: ['price', 'book'] },
    })
    expect(calls).toEqual([])
    const mirrored = await Array.fromAsync(running.bus.read({ correlation: comparison!.candidate.correlationid }))
    expect(mirrored.every(({ event }) => event.replay?.startsWith('mirror/'))).toBe(true)
  })

  test('a candidate that is late: the task, an error, or old, and the log says so', async () => {
    const slow = agent('slow', { run: ctx => ctx.sleep('1h') })
    const running = await (await world()).worker({ use: [slow] })
    const options = { candidate: slow, within: '200ms' as const, repeatable: ({ amount }: Order) => amount > 1 }
    const orders = await open(running, options)
    await orders.set({ percent: 100 }, by)
    const begun = await orders.begin({ user: 'ann', amount: 1 }, { wait: '1ms' })
    if (!('task' in begun)) throw new Error('it answered')
    await expect((await orders.task(begun.task.id)).result()).rejects.toMatchObject({ code: 'E_TASK_CANCELLED' })
    await expect(orders.run({ user: 'ann', amount: 1 })).rejects.toMatchObject({ code: 'E_CANDIDATE_LATE' })
    expect(await orders.run({ user: 'ann', amount: 2 })).toEqual({ total: 4, side: 'old' })
    await until(async () => {
      const [repeated] = await eventsOfType(running.bus, 'strangler.repeated')
      expect(repeated).toMatchObject({ strangler: 'orders', reason: 'E_CANDIDATE_LATE', task: expect.any(String) })
      return true
    })
  })

  test('a function of the strangler that throws fails no request', async () => {
    const throws = () => {
      throw new Error('a mistake')
    }
    const running = await start()
    const withoutKey = await open(running, { key: throws })
    await withoutKey.set({ percent: 100, mirror: 100 }, by)
    expect(await withoutKey.run({ user: 'ann', amount: 1 })).toEqual({ total: 2, side: 'old' })
    const unsure = await open(running, { repeatable: throws })
    await until(() => unsure.state.control.percent === 100)
    expect(await unsure.run({ user: 'ann', amount: 1 })).toEqual({ total: 2, side: 'candidate' })
  })

  test('old answers when the candidate cannot be asked', async () => {
    const running = await start()
    const orders = await open(running, { candidate: 'nobody' })
    await orders.set({ percent: 100 }, by)
    expect(await orders.run({ user: 'ann', amount: 2 })).toEqual({ total: 4, side: 'old' })
    await until(async () => {
      const measured = await eventsOfType<Measurement>(running.bus, 'strangler.measured')
      return measured.some(({ fallbacks, candidate }) => fallbacks === 1 && candidate.asked === 0)
    })
  })

  test('rolls back when the candidate fails, once, and stays there', async () => {
    const failing = agent('failing', { run: async () => Promise.reject(new Error('no')) })
    const place = await world()
    const running = await place.worker({ use: [failing] })
    const options = { candidate: failing, rollback: { errorRate: 0.1, minRequests: 5, window: '1m' as const } }
    const first = await open(running, options)
    const second = await open(await place.worker({ name: 'other', use: [] }), options)
    await first.set({ percent: 100 }, by)
    await until(() => second.state.control.percent === 100)
    await Promise.allSettled(Array.from({ length: 8 }, (_, i) => second.run({ user: `u${i}`, amount: 1 })))
    await until(() => first.state.control.percent === 0 && second.state.control.percent === 0)
    expect(await first.run({ user: 'u1', amount: 1 })).toEqual({ total: 2, side: 'old' })
    const decisions = await until(async () => {
      const found = await eventsOfType<Decision>(running.bus, 'strangler.rolledback')
      return found.length > 0 && found
    })
    expect(decisions).toMatchObject([{ version: 2, violation: { criterion: 'errorRate', measured: 1 } }])
    await first.set({ percent: 5 }, by)
    await Promise.all(Array.from({ length: 20 }, (_, i) => first.run({ user: `v${i}`, amount: 1 }).catch(() => {})))
    await until(async () => {
      const found = await eventsOfType<Measurement>(running.bus, 'strangler.measured')
      return found.some(({ version, old }) => version === 3 && old.finished > 0)
    })
    expect(first.state.control.percent).toBe(5)
  })
})

test('without a log, old answers', async () => {
  const orders = strangler('orders', {
    old: (amount: number) => amount * 2,
    candidate: 'clerk',
    log: () => Promise.reject(new Error('away')),
  })
  expect(await orders.run(4)).toBe(8)
  expect(orders.state.isAway).toBe(true)
  await orders.close()
})
