import { randomUUIDv7 } from 'node:crypto'
import { app, on, start, workflow } from '../src/index.ts'
import { mib, withHome } from './lib/host.ts'

/*
 * How many workflow turns per second does the engine decide while many instances wait? Each event is for a different instance, so
 * most instances are not in memory and are loaded from their journal. `node bench/workflows.ts [INSTANCES] [EVENTS]`
 */

const [instances, events] = [Number(process.argv[2] ?? 100_000), Number(process.argv[3] ?? 50_000)]
const batch = 500

let long = workflow('long', { on: 'bench.begin', within: '7d' })
for (let i = 1; i <= 20; i++)
  long = long.when(
    `step ${i}`,
    on('bench.step').where(e => e.n),
    { within: '1d' },
  )

await withHome(async home => {
  const running = await start(app({ name: 'flows', use: [long] }), { home, only: ['agents'] })
  const { bus } = running
  const correlations = Array.from({ length: instances }, () => randomUUIDv7())

  const begun = await timed(instances, i => ({ type: 'bench.begin', data: null, correlationid: correlations[i]! }))
  console.log(`${instances} instances started: ${begun} turns/s`)
  console.log(`RSS ${mib(process.memoryUsage.rss())} MiB while they wait`)
  let at = 0
  const step = () => {
    at = (at + 15_485_863) % instances
    return { type: 'bench.step', data: { n: true }, correlationid: correlations[at]! }
  }
  for (let round = 1; round <= 3; round++)
    console.log(`${events} events, each for a different instance: ${await timed(events, step)} turns/s`)
  const few = correlations.slice(0, 1_000)
  const hot = (i: number) => ({ type: 'bench.step', data: { n: true }, correlationid: few[i % few.length]! })
  console.log(`10,000 events for the same 1,000 instances: ${await timed(10_000, hot)} turns/s`)
  await running.stop()

  /** Publishes, and waits until all are settled; returns turns per second. */
  async function timed(count: number, draft: (i: number) => Parameters<typeof bus.publish>[0]) {
    const begin = performance.now()
    for (let i = 0; i < count; i += batch) {
      await bus.publishAll(Array.from({ length: Math.min(batch, count - i) }, (_, j) => draft(i + j)))
      while ((await lag()) > 4 * batch) await new Promise(resolve => setTimeout(resolve, 5))
    }
    while ((await lag()) > 0) await new Promise(resolve => setTimeout(resolve, 5))
    return Math.round(count / ((performance.now() - begin) / 1_000))
  }

  async function lag() {
    return (await bus.driver.listGroups()).find(({ group }) => group === 'app/flows')?.lag ?? 0
  }
})
