import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { startNats } from '../src/testing/nats/start.ts'
import { lockLog, tapTrial } from '../test/tap-trial/tap-trial.ts'

/*
 * Makes a set of calls twice, directly and through `tidings tap openai`, compares every byte, and then reads what the log says about them:
 * `npm run tap-trial -- [--bus sqlite|nats] [--calls 10000] [--seed 1] [--kill 0] [--outage SECONDS]`. The same seed makes the same calls.
 */

const { values } = parseArgs({
  options: {
    bus: { type: 'string', default: 'sqlite' },
    calls: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '1' },
    /** Conversations at a time. */
    'at-once': { type: 'string', default: '16' },
    /** Number of `kill -9` of the tap. */
    kill: { type: 'string', default: '0' },
    /** Seconds without a log, in the middle. */
    outage: { type: 'string', default: '0' },
  },
})
if (values.bus !== 'sqlite' && values.bus !== 'nats')
  throw new Error(`unknown bus "${values.bus}": expected sqlite or nats`)

const home = await mkdtemp(join(tmpdir(), 'tidings-tap-trial-'))
const nats = values.bus === 'nats' ? await startNats() : undefined
const ms = Number(values.outage) * 1_000
const outage = async () => {
  if (!nats) return lockLog(home, ms)
  await nats.kill()
  await setTimeout(ms)
  await nats.restart()
}
const begin = performance.now()
try {
  const { faults, figures, lacking } = await tapTrial({
    home,
    bus: nats ? `${nats.url}/trial?timeout=60000` : 'sqlite',
    folders: nats ? [nats.dataDir] : [],
    seed: Number(values.seed),
    calls: Number(values.calls),
    atOnce: Number(values['at-once']),
    kills: Number(values.kill),
    ...(ms > 0 && { outage }),
    onProgress: text => process.stderr.isTTY && process.stderr.write(`\r${text}   `),
  })
  const seconds = Math.round((performance.now() - begin) / 1_000)
  const line = [['bus', values.bus], ['seed', values.seed], ['seconds', seconds], ...Object.entries(figures)]
  console.log(line.map(([key, value]) => `${key} ${value}`).join(', '))
  console.log(`${faults.length} faults`)
  for (const fault of faults.slice(0, 100)) console.log(fault)
  if (faults.length > 0) for (const each of lacking.slice(0, 20)) console.log(`not on the log: ${each}`)
  process.exitCode = faults.length > 0 ? 1 : 0
} finally {
  await nats?.stop()
  if (process.exitCode === 0) await rm(home, { recursive: true, force: true, maxRetries: 20 })
  else console.log(`kept for inspection: ${home}`)
}
