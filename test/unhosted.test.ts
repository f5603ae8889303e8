import { expect, it } from 'vitest'
import { z } from 'zod'
import { findUnhosted } from '../src/trace/attention/unhosted.ts'
import { agent, model, tool, workflow } from '../src/index.ts'
import { until } from '../src/testing/wait.ts'
import { indexOf } from '../src/trace/index/open.ts'
import { tidings } from './lib/cli.ts'
import { plainModel } from './lib/plain-model.ts'
import { eventsOf, onAnyBus, typesOf } from './lib/world.ts'

onAnyBus(world => {
  it('status says when no worker runs', async () => {
    const log = await world()
    const status = async () => (await tidings(log.place, ['status'])).stdout
    await log.worker({ use: [tool('parcels', { description: '', input: z.object({}), run: () => 1 })] })
    expect(await status()).not.toContain('workers')
    await log.stop()
    await until(async () => (await status()).includes('workers    none; start one: tidings run\n'))
  })

  it('a start warns about what nothing hosts, once for all, and why says what a task waits for', async () => {
    const base = { description: '', input: z.object({}) }
    const [here, elsewhere, nowhere] = ['here', 'elsewhere', 'nowhere'].map(name =>
      tool(name, { ...base, run: () => 1 }),
    )
    const { model: languageModel } = plainModel(() => [{ id: 'c1', tool: 'nowhere', input: {} }])
    const helper = agent('helper', {
      model: model(languageModel),
      instructions: 'Help.',
      tools: [here!, elsewhere!, nowhere!],
    })
    const order = workflow('order', { input: z.any(), within: '1h' })
      .call('sent', nowhere!, () => ({}))
      .complete(() => 1)
    const log = await world()
    await log.worker({ name: 'other', use: [elsewhere!] })
    const worker = await log.worker({ use: [helper, order, here!] })
    const warned = worker.warnings.filter(({ code }) => code === 'not-hosted').map(({ message }) => message)
    expect(warned).toEqual([
      expect.stringMatching(/^Neither .* hosts the tool "nowhere", which agent "helper" calls\. Calls wait/),
    ])
    const { id } = await worker.ask(helper, 'Go.')
    await until(async () => (await tidings(log.place, ['why', id])).stdout.includes('! '))
    expect((await tidings(log.place, ['why', id])).stdout).toContain(
      '! no worker on this log hosts the tool "nowhere", which helper waits for',
    )
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
    const named = async (ms: number) =>
      (await findUnhosted(bus, indexOf(bus), { now: Date.now() + ms })).map(({ reason }) => reason)
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
