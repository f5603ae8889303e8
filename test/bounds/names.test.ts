import { expect, it } from 'vitest'
import { agent } from '../../src/agents/agent.ts'
import { until } from '../../src/testing/wait.ts'
import { tool } from '../../src/tools/tool.ts'
import { workflow } from '../../src/index.ts'
import { z } from 'zod'
import { ask, onAnyBus } from '../lib/world.ts'

const clerk = agent('clerk', { on: 'go', run: () => 'done' })
const noop = tool('noop', { description: '', input: z.any(), run: () => 1 })

onAnyBus(world => {
  it('an app cannot host an agent of another app, and the error names that app', async () => {
    const log = await world()
    const worker = await log.worker({ name: 'first', use: [clerk] })
    await log.worker({ name: 'first', use: [clerk] })
    await expect(log.worker({ name: 'second', use: [clerk] })).rejects.toMatchObject({
      code: 'E_AGENT_TAKEN',
      message:
        'app "second" cannot host "clerk": app "first" hosts an agent or workflow of that name, and one of its workers is running',
    })
    // A workflow is asked by the same events.
    const flow = workflow('clerk', { on: 'order.placed', within: '1h' }).complete(() => 1)
    await expect(log.worker({ name: 'second', use: [flow] })).rejects.toMatchObject({ code: 'E_AGENT_TAKEN' })
    expect((await ask(worker, { type: 'go', data: null })).data).toMatchObject({ output: 'done' })
  })

  it('an app without an agent of that name starts', async () => {
    const log = await world()
    await log.worker({ name: 'first', use: [clerk] })
    const other = agent('other', { on: 'go', run: () => 'other' })
    const second = await log.worker({ name: 'second', use: [other, noop] })
    await log.worker({ name: 'third', use: [clerk, noop] }, { only: ['tools'] })
    expect((await ask(second, { type: 'go', data: null })).type).toBe('agent.task.completed')
  })

  it('an app that was renamed takes the name once no worker of the old one runs', async () => {
    const log = await world()
    await log.worker({ name: 'before', use: [clerk] })
    await log.stop()
    const after = await log.worker({ name: 'after', use: [clerk] })
    expect((await ask(after, { type: 'go', data: null })).data).toMatchObject({ output: 'done' })
    await expect(log.worker({ name: 'before', use: [clerk] })).rejects.toMatchObject({ code: 'E_AGENT_TAKEN' })
  })

  it('of two apps that start at the same moment, at most one hosts the name', async () => {
    const log = await world()
    const started = await Promise.allSettled(['left', 'right'].map(name => log.worker({ name, use: [clerk] })))
    const refused = started.filter(({ status }) => status === 'rejected')
    expect(refused.length).toBeGreaterThanOrEqual(1)
    for (const { reason } of refused as PromiseRejectedResult[]) expect(reason).toMatchObject({ code: 'E_AGENT_TAKEN' })
    await log.stop()
    // Whoever was refused has left nothing behind that would keep the next one out.
    await until(async () => (await log.worker({ name: 'left', use: [clerk] }).catch(() => undefined)) !== undefined)
  })
})
