import { expect, it, onTestFinished, vi } from 'vitest'
import { z } from 'zod'
import { agent } from '../src/agents/agent.ts'
import type { Trigger } from '../src/triggers/trigger.ts'
import { Pauses } from '../src/bus/pauses.ts'
import { openBus } from '../src/runtime/environment.ts'
import { ToolStation } from '../src/tools/station.ts'
import { until } from '../src/testing/wait.ts'
import { tool, type ToolContext } from '../src/tools/tool.ts'
import { ended, eventsOf, onEveryBus, typesOf } from './lib/world.ts'

/** A tool by which a test says when it is started, and how it ends. */
function gated() {
  const starts: ToolContext[] = []
  const { promise: end, resolve: open } = Promise.withResolvers<string>()
  const run = (_: unknown, context: ToolContext) => {
    starts.push(context)
    return end
  }
  return { starts, open, tool: tool('slow', { description: '', input: z.any(), timeout: '2m', run }) }
}

const caller = agent('caller', {
  on: 'go',
  run: ctx => ctx.call<unknown, unknown>({ kind: 'tool', name: 'slow' }, null, { within: '2m' }),
})

const tools = ['tools'] as const

const echo = agent('echo', { on: 'go', run: ctx => ctx.event.data })

onEveryBus(world => {
  it('an event that the gateway accepts before the first agent starts is delivered later', async () => {
    const log = await world()
    const gateway = await log.worker({ use: [echo] }, { only: ['gateway'], port: 0 })
    const posted = await fetch(`${gateway.addresses[0]}/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ type: 'go', data: 'by http' }),
    })
    expect(posted.status).toBe(202)
    const { correlationid, ids } = (await posted.json()) as { correlationid: string; ids: [string] }
    const agents = await log.worker({ use: [echo] }, { only: ['agents'] })
    expect(await ended(agents, correlationid, ids[0])).toMatchObject({ data: { output: 'by http' } })
  })

  it('an event that a trigger accepts as it opens is delivered to the first agents', async () => {
    const log = await world()
    let taken = { correlationid: '', id: '' }
    const hasty: Trigger = {
      kind: 'trigger',
      name: 'hasty',
      types: ['go'],
      async start(bus) {
        taken = await bus.publish({ type: 'go', data: 'by trigger' })
        return { address: 'hasty:', stop: async () => {} }
      },
    }
    await log.worker({ use: [echo, hasty] }, { only: ['triggers'] })
    const agents = await log.worker({ use: [echo] }, { only: ['agents'] })
    expect(await ended(agents, taken.correlationid, taken.id)).toMatchObject({ data: { output: 'by trigger' } })
  })

  it('a tool that outlasts a stop is aborted, and another worker completes the call', async () => {
    const log = await world()
    const [stuck, quick] = [gated(), gated()]
    const agents = await log.worker({ use: [caller] }, { only: ['agents'] })
    const leaving = await log.worker({ use: [stuck.tool] }, { only: tools, stopWithin: 300 })
    const { correlationid, id } = await agents.bus.publish({ type: 'go', data: null })
    const first = await until(() => stuck.starts[0])
    await log.worker({ use: [quick.tool] }, { only: tools })
    const began = performance.now()
    await leaving.stop()
    const took = performance.now() - began
    expect(took).toBeGreaterThan(290)
    expect(took).toBeLessThan(1_500)
    expect(first.signal.reason).toMatchObject({ code: 'E_WORKER_STOPPED' })
    const second = await until(() => quick.starts[0])
    expect(second).toMatchObject({ idempotencyKey: first.idempotencyKey, attempt: 2 })
    // Too late: this one answers for nobody.
    stuck.open('by the first')
    quick.open('by the second')
    expect(await ended(agents, correlationid, id)).toMatchObject({ data: { output: 'by the second' } })
    expect(typesOf(await eventsOf(agents, correlationid))).not.toContain('tool.failed')
  })

  it('a tool that ends in time is waited for, and is not run again', async () => {
    const log = await world()
    const [quick, idle] = [gated(), gated()]
    const agents = await log.worker({ use: [caller] }, { only: ['agents'] })
    const leaving = await log.worker({ use: [quick.tool] }, { only: tools, stopWithin: '20s' })
    const { correlationid, id } = await agents.bus.publish({ type: 'go', data: null })
    const first = await until(() => quick.starts[0])
    const other = await log.worker({ use: [idle.tool] }, { only: tools })
    const stopped = leaving.stop()
    quick.open('in time')
    expect(await ended(agents, correlationid, id)).toMatchObject({ data: { output: 'in time' } })
    await stopped
    expect(first.signal.aborted).toBe(false)
    const state = () => other.bus.driver.listGroups()
    await until(async () => (await state()).find(({ group }) => group === 'tool/slow')?.lag === 0)
    expect([quick.starts.length, idle.starts.length]).toEqual([1, 0])
  })

  it('the answer of a tool is on the log before a stop returns deliveries, even if the log is slow', async () => {
    const log = await world()
    const [quick, idle] = [gated(), gated()]
    const agents = await log.worker({ use: [caller] }, { only: ['agents'] })
    const bus = await openBus(log.place)
    onTestFinished(() => bus.driver.close())
    const written = Promise.withResolvers<void>()
    const subscribe = bus.driver.subscribe.bind(bus.driver)
    vi.spyOn(bus.driver, 'subscribe').mockImplementation(({ onDelivery, ...subscription }) =>
      subscribe({
        ...subscription,
        onDelivery: delivery => {
          const settle = delivery.settle.bind(delivery)
          onDelivery(
            Object.assign(delivery, {
              settle: async (...end: Parameters<typeof settle>) => {
                await written.promise
                return settle(...end)
              },
            }),
          )
        },
      }),
    )
    const leaving = new ToolStation({ bus, tools: [quick.tool], pauses: new Pauses(bus) })
    await leaving.start()
    const { correlationid, id } = await agents.bus.publish({ type: 'go', data: null })
    await until(() => quick.starts[0])
    await log.worker({ use: [idle.tool] }, { only: tools })
    const stopped = leaving.stop()
    quick.open('in time')
    idle.open('run again')
    // Time enough to be handed the call, were it given back.
    const answered = (await agents.bus.publish({ type: 'go', data: null })).correlationid
    await until(async () => typesOf(await eventsOf(agents, answered)).includes('agent.task.completed'))
    written.resolve()
    await stopped
    expect(await ended(agents, correlationid, id)).toMatchObject({ data: { output: 'in time' } })
    expect(idle.starts).toHaveLength(1)
  })
})
