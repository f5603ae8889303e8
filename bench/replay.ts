import { z } from 'zod'
import { agent } from '../src/agents/agent.ts'
import type { Bus } from '../src/bus/bus.ts'
import { replayInProcesses } from '../src/replay/parallel.ts'
import { Replayer } from '../src/replay/replayer.ts'
import { sourceFromBus } from '../src/replay/source.ts'
import { app } from '../src/runtime/app.ts'
import { openBus } from '../src/runtime/environment.ts'
import { start } from '../src/runtime/start.ts'
import { Programs } from '../src/tasks/programs.ts'
import { tool } from '../src/tools/tool.ts'
import { closedLoop } from './lib/load.ts'
import { circumstances, heading, host, median, row, spread, withHome } from './lib/host.ts'

/*
 * How fast is recorded work replayed on all cores, including reading the log and starting the threads? Is the cost of a turn
 * independent of the length of its task? `node bench/replay.ts [TURNS] [REPEATS]`
 */

const turns = Number(process.argv[2] ?? 100_000)
const repeats = Number(process.argv[3] ?? 5)
const module = import.meta.resolve('./lib/app.ts')
const turnsOfTask = { program: 4, loop: 7, script: 4 }

console.log(circumstances(repeats))
heading(['a log of', 'turns', 'turns/s', 'divergences'])
for (const [kind, each] of Object.entries(turnsOfTask))
  await withHome(async home => {
    const running = await host(home, ['agents', 'tools', 'models'])
    await closedLoop(running.bus, `bench.${kind}`, Math.ceil(turns / each), 256)
    await running.stop()
    const bus = await openBus({ bus: 'sqlite', home })
    const rates: number[] = []
    let seen = { turns: 0, diverged: 0 }
    for (let i = 0; i < repeats; i++) {
      const begin = performance.now()
      const source = sourceFromBus(bus, { all: true })
      seen = await replayInProcesses(module, { recorded: () => source.events(), document: source.document })
      rates.push(seen.turns / ((performance.now() - begin) / 1_000))
    }
    await bus.driver.close()
    row([kind, seen.turns, spread(rates), seen.diverged])
  })

const length = turns / 10
const noop = tool('noop', { description: '', input: z.any(), run: () => 'x'.repeat(300) })
const counter = agent('counter', {
  on: 'bench.count',
  init: () => ({ count: 0 }),
  evolve: (state: { count: number }, { type }) => (type === 'tool.result' ? { count: state.count + 1 } : state),
  decide(state, _inputs, ctx) {
    if (state.count === length) ctx.complete(state.count)
    else ctx.call({ type: 'tool.invoke', target: 'noop', data: { input: state.count } })
  },
})

await withHome(async home => {
  const long = app({
    name: 'long',
    use: [counter, noop],
    budget: { calls: Infinity, events: Infinity, bytes: Infinity },
  })
  const running = await start(long, { home, only: ['agents', 'tools'] })
  await closedLoop(running.bus, 'bench.count', 1, 1)
  const times = await timesOf(running.bus)
  await running.stop()
  const tenth = Math.floor(times.length / 10)
  const [first, last] = [median(times.slice(tenth, 2 * tenth)), median(times.slice(-tenth))]
  const shown = [first, last].map(ms => (ms * 1_000).toFixed(0))
  console.log(
    `one task of ${times.length} turns: ${shown[0]} µs a turn near its beginning, ${shown[1]} at its end: ${(last / first).toFixed(2)}`,
  )
})

/** Milliseconds per turn of the only task, without reading the log. */
async function timesOf(bus: Bus): Promise<number[]> {
  const replay = new Replayer(new Programs([counter.definition]))
  const times: number[] = []
  for await (const { position, event } of sourceFromBus(bus, { all: true }).events()) {
    const begin = performance.now()
    await replay.add(position, event)
    if (event.type === 'task.turn') times.push(performance.now() - begin)
    else if (times.length > 0) times[times.length - 1]! += performance.now() - begin
  }
  return times
}
