import { expect, test } from 'vitest'
import { z } from 'zod'
import { agent } from '../src/agents/agent.ts'
import { event } from '../src/event.ts'
import { ask, eventsOf, onAnyBus } from './lib/world.ts'
import { endOf, errorOf, retried, taskOf } from './lib/retry.ts'

const paid = event('order.paid', z.object({ order: z.string(), lines: z.array(z.object({ cents: z.number() })) }))
const order = { order: 'o-1', lines: [{ cents: 3 }] }
const wrong = { order: 'o-1', lines: [{ cents: 3 }, { cents: '4' }] }
const fault = /^the data of "order\.paid" does not match its schema: lines\.1\.cents: /

onAnyBus(world => {
  test('a worker refuses data that does not match a type that its app declares, and stores nothing', async () => {
    const log = await world()
    const clerk = agent('clerk', { on: paid, run: (_, { lines }) => lines.length })
    const declared = event('order.lost', z.object({ why: z.string() }))
    const worker = await log.worker({ use: [clerk, declared] }, { only: ['agents', 'gateway'], port: 0 })
    const before = await worker.bus.head()
    for (const [type, data, message] of [
      ['order.paid', wrong, fault],
      ['order.lost', {}, /^the data of "order\.lost" .* why: /],
    ] as const) {
      const refused = worker.bus.publishAll([
        { type: 'order.seen', data: 1 },
        { type, data },
      ])
      await expect(refused).rejects.toMatchObject({ code: 'E_EVENT_INVALID', message: expect.stringMatching(message) })
    }
    const headers = { 'content-type': 'application/json' }
    const body = JSON.stringify([{ type: 'order.seen' }, { type: 'order.paid', data: wrong }])
    const response = await fetch(`${worker.addresses[0]}/events`, { method: 'POST', headers, body })
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({
      error: { code: 'E_EVENT_INVALID', message: expect.stringMatching(fault) },
    })
    expect(await worker.bus.head()).toBe(before)
    expect((await ask(worker, { type: 'order.paid', data: order })).data).toMatchObject({ output: 1 })
  })

  test('data that came another way fails its task before any code runs; a retry with another schema runs it', async () => {
    const log = await world()
    const runs: unknown[] = []
    const clerkOn = (type: typeof paid) => agent('clerk', { on: type, run: (_, data) => void runs.push(data) })
    const first = await log.worker({ use: [clerkOn(paid)] })
    const undeclared = await log.worker({ name: 'other', use: [] })
    const failed = await ask(undeclared, { type: 'order.paid', data: wrong })
    expect(errorOf(failed)).toMatchObject({ code: 'E_EVENT_INVALID', message: expect.stringMatching(fault) })
    expect(runs).toEqual([])
    await first.stop()

    const coerced = event(
      'order.paid',
      z.object({ order: z.string(), lines: z.array(z.object({ cents: z.coerce.number() })) }),
    )
    const second = await log.worker({ use: [clerkOn(coerced as unknown as typeof paid)] })
    const { task } = await retried(log, taskOf(failed))
    expect((await endOf(second, task)).type).toBe('agent.task.completed')
    expect(runs).toEqual([{ order: 'o-1', lines: [{ cents: 3 }, { cents: 4 }] }])
    // The log keeps the data as it was given.
    const [given] = (await eventsOf(second, failed.correlationid)).filter(({ type }) => type === 'order.paid')
    expect(given!.data).toEqual(wrong)
  })
})
