import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { agent } from '../src/agents/agent.ts'
import { Bus } from '../src/bus/bus.ts'
import type { Driver } from '../src/bus/driver.ts'
import { Pauses } from '../src/bus/pauses.ts'
import { openNats } from '../src/drivers/nats/index.ts'
import { openSqlite } from '../src/drivers/sqlite/index.ts'
import { defaultBudget } from '../src/tasks/budget.ts'
import { Engine } from '../src/tasks/engine.ts'
import { until } from '../src/testing/wait.ts'
import { ToolStation } from '../src/tools/station.ts'
import { tool } from '../src/tools/tool.ts'
import { describeNats, natsUrl } from './lib/nats.ts'
import { disordered } from './lib/disordered.ts'
import { isClean, verify } from './kills/verify.ts'

const add = tool('add', { description: '', input: z.object({ n: z.number() }), run: ({ n }) => n + 1 })
const adder = agent('adder', {
  on: 'kill.started',
  async run(ctx, { n }: { n: number }) {
    const [a, b] = await ctx.all([branch => branch.call(add, { n }), branch => branch.call(add, { n: n + 1 })])
    await ctx.sleep(5)
    return { sum: await ctx.call(add, { n: Number(a) + Number(b) }) }
  },
})

function triple(open: (home: string) => Promise<Driver>) {
  it('every delivery tripled and shuffled gives the same journals and the same results', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(12), { minLength: 20, maxLength: 40 }), async delays => {
        const home = await mkdtemp(join(tmpdir(), 'tidings-triple-'))
        let i = 0
        const driver = disordered(await open(home), 3, () => delays[i++ % delays.length]!)
        const bus = new Bus(driver)
        const pauses = new Pauses(bus)
        const engine = new Engine({
          bus,
          group: 'app/triple',
          programs: [adder.definition],
          maxHops: 4,
          budget: defaultBudget,
          pauses,
        })
        const tools = new ToolStation({ bus, tools: [add], pauses })
        try {
          await engine.start()
          await tools.start()
          const expected = new Map<string, number>()
          for (let n = 0; n < 20; n++)
            expected.set((await bus.publish({ type: 'kill.started', data: { n } })).correlationid, n)
          const verdict = await until(async () => {
            const seen = await verify(bus, home, expected)
            return seen.unfinished.length === 0 && seen
          })
          // No workflow watches here.
          expect({ ...verdict, unwatched: [] }).toSatisfy(isClean)
        } finally {
          await engine.stop()
          await tools.stop()
          await driver.close()
          await rm(home, { recursive: true, force: true })
        }
      }),
      { numRuns: 8, endOnFailure: true },
    )
  })
}

describe('on sqlite', () => triple(home => openSqlite({ home })))
describeNats('on nats', () => triple(() => openNats({ url: `${natsUrl()}/triple-${randomUUID()}` })))
