import { expect, it } from 'vitest'
import { z } from 'zod'
import { findUnhosted } from '../src/cli/unhosted.ts'
import { agent, tool } from '../src/index.ts'
import { until } from '../src/testing/wait.ts'
import { tidings } from './lib/cli.ts'
import { eventsOf, onEveryBus, typesOf } from './lib/world.ts'

onEveryBus(world => {
  it('status says when no worker runs', async () => {
    const log = await world()
    const status = async () => (await tidings(log.place, ['status'])).stdout
    await log.worker({ use: [tool('parcels', { description: '', input: z.object({}), run: () => 1 })] })
    expect(await status()).not.toContain('workers')
    await log.stop()
    await until(async () => (await status()).includes('workers    none; start one: tidings run\n'))
  })

  it('a tool whose workers stopped a minute ago is listed, and a tool that runs is not', async () => {
    const base = { description: '', input: z.object({}) }
    const work = Promise.withResolvers<number>()
    const parcels = tool('parcels', { ...base, run: () => 1 })
    const slow = tool('slow', { ...base, run: () => work.promise })
    const shipping = agent('shipping', {
      on: 'ship.it',
      run: ctx => Promise.all([ctx.call(parcels, {}), ctx.call(slow, {})]),
    })
    const log = await world()
    const hosting = await log.worker({ use: [parcels] })
    const { bus } = await log.worker({ use: [shipping, slow] })
    await hosting.stop()
    const { correlationid } = await bus.publish({ type: 'ship.it', data: null })
    await until(async () => typesOf(await eventsOf({ bus }, correlationid)).length === 3)
    const named = async (ms: number) => (await findUnhosted(bus, Date.now() + ms)).map(({ reason }) => reason)
    expect(await named(10_000)).toEqual([])
    await until(async () => (await named(60_000)).length > 0)
    expect(await named(60_000)).toEqual([
      'no worker on this log hosts the tool "parcels" at present, which shipping waits for',
    ])
    await log.worker({ use: [parcels] }, { only: ['tools'] })
    await until(async () => (await named(60_000)).length === 0)
    work.resolve(1)
  })
})
