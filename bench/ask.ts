import { agent, app, connect, start, tool } from '../src/index.ts'
import { z } from 'zod'
import { mib, withHome } from './lib/host.ts'

/*
 * Does memory stay flat while a process waits for many results? `node --expose-gc bench/ask.ts [ROUNDS]` asks 1,000 tasks at once, ten times, from a
 * connection that hosts nothing, and prints the heap after each round, and the results per second.
 */

const rounds = Number(process.argv[2] ?? 10)
const atOnce = 1_000
const square = tool('square', { description: 'Squares.', input: z.object({ n: z.number() }), run: ({ n }) => n * n })
const squarer = agent('squarer', { run: (ctx, n: number) => ctx.call(square, { n }) })

await withHome(async home => {
  const running = await start(app({ name: 'ask', use: [square, squarer] }), {
    home,
    bus: 'sqlite',
    only: ['agents', 'tools'],
  })
  const caller = await connect('sqlite', { home })
  const heaps: number[] = []
  for (let round = 1; round <= rounds; round++) {
    const begin = performance.now()
    const asked = await Promise.all(Array.from({ length: atOnce }, (_, n) => caller.ask(squarer, n)))
    const results = await Promise.all(asked.map(handle => handle.result()))
    if (results.some((result, n) => result !== n * n)) throw new Error('a result reached another caller')
    const perSecond = (atOnce / (performance.now() - begin)) * 1_000
    globalThis.gc?.()
    heaps.push(process.memoryUsage().heapUsed)
    console.log(`round ${round}: ${mib(heaps.at(-1)!)} MiB heap, ${Math.round(perSecond)} results/s`)
  }
  console.log(`last heap to first: ${(heaps.at(-1)! / heaps[0]!).toFixed(2)}`)
  await caller.close()
  await running.stop()
})
