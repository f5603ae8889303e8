import { setTimeout } from 'node:timers/promises'
import { z } from 'zod'
import { agent } from '../src/agents/agent.ts'
import { app } from '../src/runtime/app.ts'
import { start } from '../src/runtime/start.ts'
import { tool } from '../src/tools/tool.ts'
import { median, mib, withHome } from './lib/host.ts'
import { openLoop } from './lib/load.ts'

/*
 * Does a slow tool (2 s, four at once) at ten times its capacity slow down another tool? Twenty calls per second arrive for ten
 * seconds, while a quick tool is called 100 times per second. `node bench/slow-tool.ts`
 */

const slow = tool('slow', { description: 'Takes 2 s.', input: z.any(), limit: 4, run: () => setTimeout(2_000) })
const quick = tool('quick', { description: 'Takes none.', input: z.any(), run: () => null })
const caller = (name: string, target: typeof slow | typeof quick) =>
  agent(name, { on: `bench.${name}`, run: ctx => ctx.call(target, null) })
const bench = app({ name: 'slow-tool', use: [slow, quick, caller('slow', slow), caller('quick', quick)] })

const ratios: number[] = []
for (let i = 1; i <= 5; i++)
  await withHome(async home => {
    const running = await start(bench, { home, only: ['agents', 'tools'] })
    await openLoop(running.bus, 'bench.quick', 200, 100)
    const alone = await openLoop(running.bus, 'bench.quick', 500, 100)
    const flood = openLoop(running.bus, 'bench.slow', 200, 20)
    const beside = await openLoop(running.bus, 'bench.quick', 1_000, 100)
    const rss = mib(process.memoryUsage.rss())
    ratios.push(beside.p99 - alone.p99 * 3)
    console.log(
      `run ${i}: p99 of the quick tool ${alone.p99.toFixed(1)} ms alone, ${beside.p99.toFixed(1)} ms beside the slow one; RSS ${rss} MiB`,
    )
    if (i === 1) {
      const { tasks, failed, seconds } = await flood
      console.log(
        `       the slow tool: ${tasks - failed} of ${tasks} calls completed, ${failed} failed, after ${seconds.toFixed(0)} s; RSS ${mib(process.memoryUsage.rss())} MiB`,
      )
    }
    await running.stop()
  })
console.log(`median of (p99 beside - 3 × p99 alone): ${median(ratios).toFixed(1)} ms; passes up to 10 ms`)
