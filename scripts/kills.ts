import { parseArgs } from 'node:util'
import { killTest } from '../test/kills/kills.ts'
import type { Control } from '../test/kills/log.ts'
import { oneKafka, oneNats, threeNats } from '../test/kills/broker.ts'
import { isClean } from '../test/kills/verify.ts'

/*
 * The full kill test: `npm run kills`, or `npm run kills -- --bus nats`, `--bus cluster` and `--bus kafka`, which kill servers, too.
 * First with all guarantees, then once with each of them switched off, which must not be clean.
 */

const { values } = parseArgs({
  options: {
    tasks: { type: 'string', default: '2000' },
    kills: { type: 'string', default: '200' },
    stops: { type: 'string', default: '10' },
    workers: { type: 'string', default: '3' },
    bus: { type: 'string', default: 'sqlite' },
    /** Of the log, with --bus nats and --bus cluster. */
    partitions: { type: 'string', default: '1' },
    'server-kills': { type: 'string', default: '20' },
    controls: { type: 'string', default: 'none,fence,dedup,transaction' },
  },
})

const brokers = { sqlite: undefined, nats: oneNats, cluster: threeNats, kafka: oneKafka }
const broker = await brokers[values.bus as keyof typeof brokers]?.(Number(values.partitions))
/** On a broker, a worker that slept too long usually notices before it decides; only many of them show that the fence is missing. */
const zombies = 45

let bad = 0
for (const control of values.controls.split(',') as Control[]) {
  const report = await killTest({
    tasks: Number(values.tasks),
    kills: Number(values.kills),
    stops: control === 'fence' && broker ? zombies : Number(values.stops),
    workers: Number(values.workers),
    control,
    ...(broker && { broker, serverKills: control === 'none' ? Number(values['server-kills']) : 0 }),
    patienceMs: control === 'none' ? 60_000 : 10_000,
    onProgress: text => process.stderr.isTTY && process.stderr.write(`\r${control}: ${text}   `),
  })
  const clean = isClean(report)
  const asExpected = clean === (control === 'none')
  if (!asExpected) bad++
  const { unfinished, unwatched, wrongResults, forks, appliedTwice, neverApplied, startedTwice, killed, seconds } =
    report
  const counts = { unfinished, unwatched, wrongResults, forks, appliedTwice, neverApplied, startedTwice }
  const text = Object.entries(counts).map(([name, list]) => `${name} ${list.length}`)
  console.log(
    `${asExpected ? 'as expected' : 'UNEXPECTED'}: control ${control}, ${killed} disturbances, ${seconds.toFixed(0)} s: ${text.join(', ')}`,
  )
  if (control === 'none' && !clean) console.log(JSON.stringify({ ...counts, ...report.evidence }, null, 1))
}
await broker?.stop()
process.exitCode = bad > 0 ? 1 : 0
