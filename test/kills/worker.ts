import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { z } from 'zod'
import { agent } from '../../src/agents/agent.ts'
import { Bus } from '../../src/bus/bus.ts'
import { Pauses } from '../../src/bus/pauses.ts'
import { defaultBudget } from '../../src/tasks/budget.ts'
import { Engine } from '../../src/tasks/engine.ts'
import { ToolStation } from '../../src/tools/station.ts'
import { tool } from '../../src/tools/tool.ts'
import { absent, all, on, seq } from '../../src/workflows/patterns.ts'
import { by } from '../../src/workflows/key.ts'
import { workflow } from '../../src/workflows/workflow.ts'
import { type Control, openLog } from './log.ts'

/*
 * A worker that is killed: an agent that adds the answers of two tools and calls a third that must never start twice, and a workflow
 * that joins the start and the result of the agent by a key, waits, and calls a tool.
 * `node worker.ts HOME LOG CONTROL`: CONTROL names the guarantee that is switched off, or is `none`.
 */

const [home, log, control] = process.argv.slice(2) as [string, string, Control]

const add = tool('add', {
  description: 'Adds one.',
  input: z.object({ n: z.number() }),
  run: async ({ n }) => {
    await setTimeout(n % 7)
    return n + 1
  },
})

const charge = tool('charge', {
  description: 'Has an effect that must not happen twice.',
  input: z.object({ n: z.number() }),
  atMostOnce: true,
  run: async ({ n }, { idempotencyKey }) => {
    appendFileSync(join(home, 'charges'), `${idempotencyKey}\n`)
    await setTimeout(n % 5)
    return n
  },
})

const adder = agent('adder', {
  on: 'kill.started',
  async run(ctx, { n }: { n: number }) {
    const [a, b] = await ctx.all([branch => branch.call(add, { n }), branch => branch.call(add, { n: n + 1 })])
    const charged = await ctx.call(charge, { n }).then(
      () => true,
      () => 'unknown',
    )
    await ctx.sleep(20)
    const c = await ctx.call(add, { n: Number(a) + Number(b) })
    ctx.emit({ type: 'kill.summed', data: { n, sum: c } })
    return { sum: c, charged }
  },
})

const watch = workflow('watch', { key: [by('kill.started', e => e.n), by('kill.summed', e => e.n)], within: '1h' })
  .when('both', all(on('kill.started').as('began'), on('kill.summed').as('came')), { within: '1h' })
  .wait('30ms')
  .call('more', add, s => ({ n: s.came.sum }))
  .when('quiet', seq(absent(on('kill.summed'), '20ms')), { within: '1h' })
  .emit('kill.watched', s => ({ n: s.began.n, more: s.more }))

const bus = new Bus(await openLog(log, control))
const pauses = new Pauses(bus)
await pauses.start()
const engine = new Engine({
  bus,
  group: 'app/kills',
  programs: [adder.definition, watch.definition],
  maxHops: 8,
  budget: defaultBudget,
  pauses,
  ...(control === 'dedup' && { classifyInput: () => 'accept' as const }),
})
await engine.start()
const tools = new ToolStation({ bus, tools: [add, charge], pauses })
await tools.start()
process.send?.('ready')
