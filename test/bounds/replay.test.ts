import { randomUUIDv7 } from 'node:crypto'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { agent } from '../../src/agents/agent.ts'
import { taskId } from '../../src/bus/ids.ts'
import type { CloudEvent } from '../../src/event.ts'
import { workflow } from '../../src/index.ts'
import { Replayer } from '../../src/replay/replayer.ts'
import { Programs } from '../../src/tasks/programs.ts'
import type { ProgramDefinition } from '../../src/tasks/program.ts'
import { until } from '../../src/testing/wait.ts'
import { tool } from '../../src/tools/tool.ts'
import { ask, eventsOf, onAnyBus } from '../lib/world.ts'

const noop = tool('noop', { description: '', input: z.any(), run: () => ({ id: 1 }) })

async function replayed(definition: ProgramDefinition, events: readonly CloudEvent[]) {
  const replay = new Replayer(new Programs([definition]))
  for (const [i, event] of events.entries()) await replay.add({ partition: 0, offset: i + 1 }, event)
  return replay.finish()
}

onAnyBus(world => {
  it('agrees with a workflow that the budget stopped and that undid its steps', async () => {
    const undo = { undo: { target: noop, input: () => ({}) } }
    const flow = workflow('trip', { on: 'trip.wanted', within: '1h' })
      .call('one', noop, () => ({}), undo)
      .call('two', noop, () => ({}), undo)
      .call('three', noop, () => ({}))
    const running = await (await world()).worker({ use: [flow, noop], budget: { calls: 3 } })
    const { correlationid } = await running.bus.publish({ type: 'trip.wanted', data: {} })
    await until(async () => (await eventsOf(running, correlationid)).some(({ type }) => type === 'agent.task.failed'))
    const events = await eventsOf(running, correlationid)
    expect(events.some(({ type }) => type === 'task.refused')).toBe(true)
    expect(await replayed(flow.definition, events)).toMatchObject({ tasks: 1, divergences: [], skipped: [] })
  })

  it('agrees with a task that was cancelled before its start, and with one that its budget ended', async () => {
    const greedy = agent('greedy', { on: 'go', run: async ctx => { for (;;) await ctx.call(noop, {}) } }) // biome-ignore format: short
    const running = await (await world()).worker({ use: [greedy, noop], budget: { calls: 2 } })
    const correlationid = randomUUIDv7()
    const subject = taskId(correlationid, 'greedy', 'ask-1')
    await running.bus.publish({ type: 'agent.cancel', correlationid, target: 'greedy', subject, data: null })
    await until(async () =>
      (await eventsOf(running, correlationid)).some(({ type }) => type === 'agent.task.cancelled'),
    )
    const ended = await ask(running, { type: 'go', data: null })
    for (const correlation of [correlationid, ended.correlationid])
      expect(await replayed(greedy.definition, await eventsOf(running, correlation))).toMatchObject({
        divergences: [],
        skipped: [],
      })
  })
})
