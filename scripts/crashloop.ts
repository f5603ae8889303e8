import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { verdictOf } from '../test/crashloop/checker/checker.ts'
import { faults, type Finding } from '../test/crashloop/checker/rules.ts'
import { crashloop } from '../test/crashloop/crashloop.ts'
import { oneNats } from '../test/kills/broker.ts'

/*
 * Kills workers every 1 to 2 s under a mixed load, then reads the log independently of the engine and reports everything that
 * was lost, stuck or done twice: `npm run crashloop -- --bus sqlite|nats [--partitions 3] --minutes 15 --seed 1`.
 */

const { values } = parseArgs({
  options: {
    bus: { type: 'string', default: 'sqlite' },
    /** Of the log, with --bus nats. */
    partitions: { type: 'string', default: '1' },
    minutes: { type: 'string', default: '15' },
    seed: { type: 'string', default: '1' },
    workers: { type: 'string', default: '3' },
    /** Jobs per second. */
    rate: { type: 'string', default: '20' },
    /** Seconds between two kills of the server, with --bus nats; 0 for none. */
    'server-kills': { type: 'string', default: '60' },
    /** Seconds between two fan-outs of 900 calls; 0 for none. */
    'fan-outs': { type: 'string', default: '30' },
  },
})
if (values.bus !== 'sqlite' && values.bus !== 'nats')
  throw new Error(`unknown bus "${values.bus}": expected sqlite or nats`)

// Hundreds of workers start: they share the compile cache of Node.
const compiled = await mkdtemp(join(tmpdir(), 'tidings-compiled-'))
process.env.NODE_COMPILE_CACHE = compiled
process.env.TIDINGS_LOG_LEVEL ??= 'silent'
const progress = (text: string) => process.stderr.isTTY && process.stderr.write(`\r${text}   `)
const home = await mkdtemp(join(tmpdir(), 'tidings-crashloop-'))
const broker = values.bus === 'nats' ? await oneNats(Number(values.partitions)) : undefined
try {
  const run = await crashloop({
    ...(broker && { broker }),
    home,
    seed: Number(values.seed),
    ms: Number(values.minutes) * 60_000,
    workers: Number(values.workers),
    jobsPerSecond: Number(values.rate),
    killEveryMs: [1_000, 2_000],
    serverKillEveryMs: Number(values['server-kills']) * 1_000,
    fanOutEveryMs: Number(values['fan-outs']) * 1_000,
    onProgress: progress,
  })
  try {
    const verdict = await verdictOf(run, { quietMs: 90_000, mostMs: 900_000, onProgress: progress })
    const { kills, serverKills, jobs, ownEnds } = run.counts
    const counts = {
      kills,
      'kills of the server': serverKills,
      'workers that ended unexpectedly': ownEnds,
      jobs,
      'approvals answered': run.answered(),
      ...verdict.counts,
    }
    const bus = values.bus === 'nats' ? `nats with partitions=${values.partitions}` : values.bus
    console.log(`\n${bus}, ${values.minutes} minutes, seed ${values.seed}`)
    for (const [name, count] of Object.entries(counts)) console.log(`${String(count).padStart(9)}  ${name}`)
    report(verdict.findings)
    process.exitCode = verdict.findings.length > 0 ? 1 : 0
  } finally {
    await run.stop()
  }
} finally {
  await broker?.stop()
  if (process.exitCode === 0) await rm(home, { recursive: true, force: true, maxRetries: 20 })
  else console.log(`\nkept for inspection: ${home}`)
  await rm(compiled, { recursive: true, force: true, maxRetries: 20 })
}

/** The ids of each fault, and what the log holds about the first ones. */
function report(findings: readonly Finding[]) {
  console.log('\nfaults')
  for (const [fault, meaning] of Object.entries(faults)) {
    const found = findings.filter(finding => finding.fault === fault)
    console.log(`${String(found.length).padStart(9)}  ${fault}: ${meaning}`)
    for (const [i, { id, what, evidence }] of found.slice(0, 50).entries()) {
      console.log(`           ${id}: ${what}`)
      const lines = evidence.length > 12 ? [...evidence.slice(0, 2), '…', ...evidence.slice(-9)] : evidence
      if (i < 3) for (const line of lines) console.log(`             ${line.slice(0, 600)}`)
    }
    if (found.length > 50) console.log(`           and ${found.length - 50} more`)
  }
}
