import { parseArgs } from 'node:util'
import { stories, type StoryName } from '../test/boundaries/host.ts'
import { sweep, type SweepOptions } from '../test/boundaries/sweep.ts'
import { startNats } from '../src/testing/nats/start.ts'

/*
 * Kills a worker at each boundary of each story: `npm run boundaries`, or `-- --bus nats [--partitions 3]`, `--story trip`, `--only cold`.
 * First with all guarantees, with cached tasks and without; on NATS also between any two writes to the server. Then with a
 * guarantee switched off, which must lead to faults.
 */

const { values } = parseArgs({
  options: {
    bus: { type: 'string', default: 'sqlite' },
    partitions: { type: 'string', default: '1' },
    story: { type: 'string' },
    only: { type: 'string' },
  },
})

const server = values.bus === 'nats' ? await startNats() : undefined
const clean = { at: 'driver', cold: () => false, patienceMs: 20_000 } as const
const control = { ...clean, patienceMs: 4_000, untilFault: true }
const runs: Record<string, Omit<SweepOptions, 'nats' | 'story'>> = {
  warm: clean,
  cold: { ...clean, cold: () => true },
  'settled-after': { ...clean, split: 'after' },
  ...(server && { sockets: { ...clean, at: 'socket' } }),
  'control-settled-before': { ...control, split: 'before' },
  'control-dedup': { ...control, split: 'after', dropDedup: true },
}

let bad = 0
for (const story of Object.keys(stories) as StoryName[]) {
  if (values.story && values.story !== story) continue
  for (const [run, options] of Object.entries(runs)) {
    if (values.only && values.only !== run) continue
    const name = `${story}, ${run}`
    const begin = performance.now()
    const { deaths, faults } = await sweep({
      ...options,
      story,
      ...(server && { nats: server.url, partitions: Number(values.partitions) }),
      onProgress: text => process.stderr.isTTY && process.stderr.write(`\r${name}: ${text}   `),
    })
    const isExpected = faults.size > 0 === run.startsWith('control')
    if (!isExpected) bad++
    const seconds = ((performance.now() - begin) / 1_000).toFixed(0)
    console.log(
      `${isExpected ? 'as expected' : 'UNEXPECTED'}: ${name}, ${deaths} deaths, ${faults.size} with faults, ${seconds} s`,
    )
    for (const [boundary, what] of faults) console.log(`  ${boundary}: ${what.join('\n     ')}`)
  }
}
await server?.stop()
process.exitCode = bad > 0 ? 1 : 0
