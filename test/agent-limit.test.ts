import { expect, onTestFinished, test } from 'vitest'
import { agent } from '../src/agents/agent.ts'
import type { TaskHandle } from '../src/ask/handle.ts'
import { connect } from '../src/runtime/connect.ts'
import { until } from '../src/testing/wait.ts'
import { onEveryBus, type World } from './lib/world.ts'

const desk = agent('desk', {
  maxUnfinished: 3,
  waitsFor: ['gate.opened'],
  run: ctx => ctx.waitFor('gate.opened', { within: '1h' }),
})
const free = agent('free', { run: ctx => ctx.waitFor('gate.opened', { within: '1h' }), waitsFor: ['gate.opened'] })
const boss = agent('boss', { run: ctx => ctx.call(desk, null) })

onEveryBus(world => {
  const client = async ({ place }: World) => {
    const connected = await connect(place.bus, { home: place.home })
    onTestFinished(() => connected.close())
    return connected
  }

  test('an agent with enough to do takes no more requests, whoever asks, until a task ends', async () => {
    const log = await world()
    await log.worker({ use: [desk, free, boss] })
    const [one, other] = [await client(log), await client(log)]
    // At the same time, from one process.
    const asked = await Promise.allSettled(Array.from({ length: 8 }, () => one.ask(desk, null)))
    const refused = asked.filter(each => each.status === 'rejected')
    expect(refused).toHaveLength(5)
    expect(refused[0]!.reason).toMatchObject({
      code: 'E_BUSY',
      retryable: true,
      message: expect.stringContaining('no more than 3'),
    })
    // Another process counts the same tasks, also one that starts later.
    await expect(other.ask(desk, null)).rejects.toMatchObject({ code: 'E_BUSY' })
    await one.ask(free, null)
    const [first] = asked.flatMap(each => (each.status === 'fulfilled' ? [each.value] : [])) as [TaskHandle<unknown>]
    await first.cancel('enough')
    await expect(first.result()).rejects.toMatchObject({ code: 'E_TASK_CANCELLED' })
    const fourth = await until(() => other.ask(desk, null).catch(() => undefined))
    expect(fourth.id).not.toBe(first.id)
    // A call of another agent is not refused, and counts.
    await one.ask(boss, null)
    await fourth.cancel('enough')
    await until(async () => {
      const events = await Array.fromAsync(other.bus.read({ filter: [{ types: ['agent.invoke'], targets: ['desk'] }] }))
      return events.length === 5
    })
    await expect(until(() => other.ask(desk, null).catch(() => undefined), { within: 500 })).rejects.toThrow()
  })

  test('a repeated request is none, and a refused one can be repeated', async () => {
    const log = await world()
    await log.worker({ use: [desk] })
    const one = await client(log)
    const handles = await Promise.all(['a', 'b', 'c'].map(idempotencyKey => one.ask(desk, null, { idempotencyKey })))
    expect((await one.ask(desk, null, { idempotencyKey: 'a' })).id).toBe(handles[0]!.id)
    await expect(one.ask(desk, null, { idempotencyKey: 'd' })).rejects.toMatchObject({ code: 'E_BUSY' })
    await handles[0]!.cancel('enough')
    await until(() => one.ask(desk, null, { idempotencyKey: 'd' }).catch(() => undefined))
    const requests = await Array.fromAsync(one.bus.read({ filter: [{ types: ['agent.invoke'] }] }))
    expect(requests).toHaveLength(4)
  })
})
