import { expect, it } from 'vitest'
import { agent } from '../src/agents/agent.ts'
import type { Trigger } from '../src/triggers/trigger.ts'
import { ended, onEveryBus } from './lib/world.ts'

const echo = agent('echo', { on: 'go', run: ctx => ctx.event.data })

onEveryBus(world => {
  it('what comes by the gateway before the first agents have started waits for them', async () => {
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

  it('what a trigger takes the moment it opens waits for the first agents', async () => {
    const log = await world()
    let taken = { correlationid: '', id: '' }
    const hasty: Trigger = {
      kind: 'trigger',
      name: 'hasty',
      async start(bus) {
        taken = await bus.publish({ type: 'go', data: 'by trigger' })
        return { address: 'hasty:', stop: async () => {} }
      },
    }
    await log.worker({ use: [echo, hasty] }, { only: ['triggers'] })
    const agents = await log.worker({ use: [echo] }, { only: ['agents'] })
    expect(await ended(agents, taken.correlationid, taken.id)).toMatchObject({ data: { output: 'by trigger' } })
  })
})
