import { closedLoop } from './lib/load.ts'
import { host, median, mib, withHome } from './lib/host.ts'

/*
 * Does memory stay flat over 200,000 tasks? `node bench/memory.ts [TASKS]` prints the RSS after each tenth.
 */

const tasks = Number(process.argv[2] ?? 200_000)

await withHome(async home => {
  const running = await host(home, ['agents', 'models', 'tools'])
  const seen: number[] = []
  for (let tenth = 1; tenth <= 10; tenth++) {
    const { perSecond } = await closedLoop(running.bus, 'bench.program', tasks / 10, 256)
    seen.push(process.memoryUsage.rss())
    console.log(`${(tasks / 10) * tenth} tasks: ${mib(seen.at(-1)!)} MiB RSS, ${Math.round(perSecond)} tasks/s`)
  }
  console.log(`last three to first three: ${(median(seen.slice(-3)) / median(seen.slice(0, 3))).toFixed(2)}`)
  await running.stop()
})
