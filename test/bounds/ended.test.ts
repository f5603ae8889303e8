import { expect, it } from 'vitest'
import { z } from 'zod'
import { agent } from '../../src/agents/agent.ts'
import { collect, until } from '../../src/testing/wait.ts'
import { tool } from '../../src/tools/tool.ts'
import { ask, eventsOf, onAnyBus } from '../lib/world.ts'

const any = z.any()

onAnyBus(world => {
  it('a repeated answer to a task that its budget ended has no effect and runs no code', async () => {
    const log = await world()
    const noop = tool('noop', { description: '', input: any, run: () => 1 })
    let runs = 0
    const greedy = agent('greedy', {
      on: 'go',
      async run(ctx) {
        runs++
        for (;;) await ctx.call(noop, null)
      },
    })
    const worker = await log.worker({ use: [greedy, noop], budget: { calls: 3 } })
    const end = await ask(worker, { type: 'go', data: null })
    expect(end).toMatchObject({ data: { error: { code: 'E_BUDGET_EXCEEDED' } } })
    const before = await collect(worker.bus.driver.listDeferred())
    const result = (await eventsOf(worker, end.correlationid)).find(({ type }) => type === 'tool.result')!
    await log.stop()

    // The code has changed as well: nothing of it matters any more.
    const other = agent('greedy', {
      on: 'go',
      async run() {
        runs++
      },
    })
    const again = await log.worker({ use: [other, noop] })
    const ranBefore = runs
    await again.bus.publish({ ...result, id: `${result.id}-again` })
    await until(async () => (await again.bus.driver.listGroups()).every(({ lag }) => lag === 0))
    expect(await collect(again.bus.driver.listDeferred())).toEqual(before)
    expect(runs).toBe(ranBefore)
  })
})
