import { createServer } from 'node:http'
import { json } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { agent } from '../src/agents/agent.ts'
import { tapTarget } from '../src/bus/tapped.ts'
import { mirrorTap } from '../src/runtime/strangler.ts'
import type { LaneComparison } from '../src/strangler/comparison.ts'
import { decide, declareStrangler } from '../src/strangler/control.ts'
import { until } from '../src/testing/wait.ts'
import { tool } from '../src/tools/tool.ts'
import { onAnyBus } from './lib/world.ts'
import { listening } from './taps/lib/listening.ts'
import { httpTapped } from './taps/lib/tapped.ts'
import { serving } from './lib/serving.ts'

/* A service that knows nothing of Tidings, behind a tap, and the agent that is compared with it. */

const rate = tool('vat.rate', { description: 'Finds the rate.', input: z.object({ n: z.number() }), run: () => 99 })
const pricer = agent('pricer', {
  run: async (ctx, { n }: { n: number }) => ({ total: n === 3 ? 0 : n * (await ctx.call(rate, { n })), by: 'agent' }),
})

const service = createServer(
  serving(async (request, response) => {
    const { n } = (await json(request)) as { n: number }
    response.writeHead(n === 4 ? 500 : 200, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ total: n * 2, by: 'service' }))
  }),
)

onAnyBus(world => {
  test('what a tap records is compared with the candidate, whose tools get the recorded answers', async () => {
    const upstream = await listening(service)
    const place = await world()
    const mirror = mirrorTap('prices', {
      tap: 'test',
      route: 'POST /prices',
      candidate: pricer,
      compare: { ignore: ['by'] },
      effects: { 'tool/vat.rate': 'recorded' },
    })
    const { url, bus } = await httpTapped(place, upstream, { routes: ['POST /prices', 'POST /other'] })
    await declareStrangler(bus, 'prices', { candidate: 'pricer' })
    await decide(bus, 'prices', { mirror: 100 }, { by: 'ann' })
    await place.worker({ use: [pricer, rate, mirror] }, { only: ['agents', 'tools', 'triggers'] })
    const price = async (n: number) => {
      const correlationid = crypto.randomUUID()
      // What a tap between the service and its tool server records.
      const call = { correlationid, source: '/taps/mcp', subject: 'vat.rate' }
      const target = tapTarget('mcp')
      const id = `${target}:test:${correlationid}`
      await bus.publish({ ...call, id, type: 'tool.invoke', target, data: { input: { n } } })
      await bus.publish({ ...call, id: `${id}:result`, call: id, type: 'tool.result', data: { output: 2 } })
      const headers = { 'content-type': 'application/json', 'x-tidings-correlation': correlationid }
      await (await fetch(`${url}/prices`, { method: 'POST', headers, body: JSON.stringify({ n }) })).text()
      return correlationid
    }
    const requests = await Promise.all([1, 2, 3, 4].map(price))
    await (await fetch(`${url}/other`, { method: 'POST', body: '{"n":1}' })).text()
    const compared = await until(async () => {
      const found = new Map<string, LaneComparison>()
      for await (const { event } of bus.read({ filter: [{ types: ['strangler.compared'] }] }))
        found.set(event.correlationid, (await bus.resolve(event)).data as LaneComparison)
      return found.size === requests.length && found
    })
    const [one, two, three, four] = requests.map(each => compared.get(each)!)
    for (const each of [one, two])
      expect(each).toMatchObject({ differences: [], old: { tools: ['vat.rate'] }, candidate: { tools: ['vat.rate'] } })
    expect(three!.differences).toEqual([
      { path: '(tools)', first: '["vat.rate"]', other: '[]' },
      { path: 'total', first: '6', other: '0' },
    ])
    expect(four!.differences).toEqual([{ path: '(outcome)', first: 'HTTP 500', other: 'answered' }])
  })
})
