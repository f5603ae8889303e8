import { closedLoop } from './lib/load.ts'
import { host, median, mib, withHome } from './lib/host.ts'
import { agent } from '../src/agents/agent.ts'
import { app } from '../src/runtime/app.ts'
import { start } from '../src/runtime/start.ts'

/*
 * What do 100,000 tasks that wait for a result cost, and do they slow down other work? `node bench/waiting.ts [TASKS]`
 */

const tasks = Number(process.argv[2] ?? 100_000)
const waiter = agent('waiter', { on: 'bench.wait', run: ctx => ctx.call({ kind: 'tool', name: 'nobody' }, null) })

await withHome(async home => {
  const running = await host(home, ['agents', 'models', 'tools'])
  const waiters = await start(app({ name: 'waiters', use: [waiter] }), { home, only: ['agents'] })
  await closedLoop(running.bus, 'bench.program', 2_000, 256)
  const work = async () => {
    const runs = []
    for (let i = 0; i < 5; i++) runs.push((await closedLoop(running.bus, 'bench.program', 3_000, 256)).perSecond)
    return median(runs)
  }
  const before = await work()
  const rssBefore = process.memoryUsage.rss()
  const begin = performance.now()
  for (let i = 0; i < tasks; i += 500)
    await running.bus.publishAll(Array.from({ length: 500 }, () => ({ type: 'bench.wait', data: null })))
  const lag = async () => (await running.bus.driver.listGroups()).find(({ group }) => group === 'app/waiters')?.lag ?? 0
  while ((await lag()) > 0) await new Promise(resolve => setTimeout(resolve, 100))
  const seconds = (performance.now() - begin) / 1_000
  const after = await work()
  console.log(`${tasks} tasks are waiting; they started at ${Math.round(tasks / seconds)}/s`)
  console.log(
    `RSS ${mib(rssBefore)} MiB before, ${mib(process.memoryUsage.rss())} MiB while they wait and after other work`,
  )
  console.log(
    `other work: ${Math.round(before)} tasks/s before, ${Math.round(after)} while they wait: ratio ${(after / before).toFixed(2)}`,
  )
  await waiters.stop()
  await running.stop()
})
