import { expect, it } from 'vitest'
import { agent } from '../../src/agents/agent.ts'
import type { StepContext } from '../../src/tasks/steps.ts'
import { endOf, retried, taskOf } from '../lib/retry.ts'
import { ask, onAnyBus } from '../lib/world.ts'

onAnyBus(world => {
  it('a retried task repeats the step that failed under its key, and no other', async () => {
    const log = await world()
    const runs: string[] = []
    let isBroken = true
    const clerk = agent('clerk', {
      on: 'go',
      async run(ctx) {
        const step = (name: string) => (context: StepContext) => {
          runs.push(`${name} ${context.idempotencyKey.slice(-9)}`)
          if (isBroken && name === 'post') throw new Error('closed')
          return name
        }
        return [await ctx.step('pay', step('pay')), await ctx.step('post', step('post'))]
      },
    })
    const worker = await log.worker({ use: [clerk] })
    const failed = await ask(worker, { type: 'go', data: null })
    expect(failed.type).toBe('agent.task.failed')
    isBroken = false
    const { task } = await retried(log, taskOf(failed))
    expect((await endOf(worker, task)).data).toMatchObject({ output: ['pay', 'post'] })
    expect(runs).toEqual(['pay 0000001:0', 'post 0000002:0', 'post 0000002:0'])
  })
})
