import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { isFailingVerdict } from '../src/strangler/field-parity.ts'
import { startNats } from '../src/testing/nats/start.ts'
import { plantedFields } from '../test/parity-trial/app.ts'
import { sampleSizeFor } from '../test/parity-trial/sample-sizes.ts'
import { ParityTrial } from '../test/parity-trial/trial.ts'

/*
 * Whether a report on mirrored requests finds a candidate that is wrong in 2 % of its answers in one field, and says nothing about one that is
 * right, although its answers vary: `npm run parity-trial -- [--bus sqlite|nats] [--runs 100] [--requests 100] [--sizes]`.
 * `--requests`: of each of the runs of unchanged code. `--sizes`: also simulates how many answers other differences need.
 */

const { values } = parseArgs({
  options: {
    bus: { type: 'string', default: 'sqlite' },
    runs: { type: 'string', default: '100' },
    requests: { type: 'string', default: '100' },
    sizes: { type: 'boolean', default: false },
  },
})
if (values.bus !== 'sqlite' && values.bus !== 'nats')
  throw new Error(`unknown bus "${values.bus}": expected sqlite or nats`)

const batch = 100
const maxRequests = 10_000
const folder = await mkdtemp(join(tmpdir(), 'tidings-parity-trial-'))
process.env.NODE_COMPILE_CACHE = join(folder, 'compiled')
process.env.TIDINGS_LOG_LEVEL ??= 'silent'
const broker = values.bus === 'nats' ? await startNats() : undefined
const place = { home: join(folder, 'home'), bus: broker ? `${broker.url}/parity-trial` : 'sqlite' }
try {
  for (const planted of plantedFields) {
    await using trial = await ParityTrial.start({ ...place, planted })
    const since = trial.now()
    let report = await trial.report(batch, since)
    while (report.verdict !== 'regression' && report.pairs < maxRequests) report = await trial.report(batch, since)
    const wrong = report.fields.filter(({ verdict }) => isFailingVerdict(verdict)).map(({ path }) => path)
    const { differed = 0, noise = 0, p = 1 } = report.fields.find(({ path }) => path === planted) ?? {}
    console.log(
      `planted 2 % in ${planted}: ${report.verdict} in ${wrong.join(', ') || 'nothing'} after ${report.pairs} compared answers (${differed} differ, old from itself ${noise}, p ${p.toExponential(1)})`,
    )
    if (wrong.join() !== planted) process.exitCode = 1
  }
  const runs = Number(values.runs)
  let alarms = 0
  await using trial = await ParityTrial.start({ ...place, planted: 'nothing' })
  for (let run = 1; run <= runs; run++) {
    const { verdict, fields, pairs } = await trial.report(Number(values.requests), trial.now())
    if (verdict === 'parity') continue
    alarms++
    const wrong = fields.filter(each => isFailingVerdict(each.verdict)).map(({ path }) => path)
    console.log(`run ${run} of unchanged code: ${verdict} in ${wrong.join(', ')} of ${pairs} compared answers`)
  }
  console.log(`unchanged code: ${runs} runs of ${values.requests} compared answers, ${alarms} false alarms`)
  if (alarms > 0) process.exitCode = 1
  if (values.sizes)
    for (const [rate, noise] of [[0.02, 0], [0.02, 0.01]] as const) // biome-ignore format: one list
      console.log(
        `${rate * 100} % wrong, old varies in ${noise * 100} %: found with ${sampleSizeFor({ rate, noise }, 0.5)} answers in half of the reports, with ${sampleSizeFor({ rate, noise }, 0.9)} in nine of ten`,
      )
} finally {
  await broker?.stop()
  await rm(folder, { recursive: true, force: true, maxRetries: 20 })
}
