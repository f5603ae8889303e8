import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startNats } from '../src/testing/nats/start.ts'
import { stranglerTrial } from '../test/strangler-trial/trial.ts'

/*
 * Lets an agent take over from the old code of several HTTP servers under load, and fail:
 * `npm run strangler-trial -- --bus sqlite|nats [--servers 3] [--users 60] [--clients 60] [--seconds 10]`. `--seconds`: of each stage.
 */

const { values } = parseArgs({
  options: {
    bus: { type: 'string', default: 'sqlite' },
    servers: { type: 'string', default: '3' },
    users: { type: 'string', default: '60' },
    /** More than `minRequests` of the app: those that a hanging candidate holds must be enough for a judgement. */
    clients: { type: 'string', default: '60' },
    seconds: { type: 'string', default: '10' },
  },
})
if (values.bus !== 'sqlite' && values.bus !== 'nats')
  throw new Error(`unknown bus "${values.bus}": expected sqlite or nats`)

const maxRollbackMs = 5_000
const folder = await mkdtemp(join(tmpdir(), 'tidings-strangler-trial-'))
process.env.NODE_COMPILE_CACHE = join(folder, 'compiled')
process.env.TIDINGS_LOG_LEVEL ??= 'silent'
const broker = values.bus === 'nats' ? await startNats() : undefined
try {
  const { stages, rollbacks, isMonotone, report } = await stranglerTrial({
    home: join(folder, 'home'),
    bus: broker ? `${broker.url}/strangler-trial` : 'sqlite',
    servers: Number(values.servers),
    users: Number(values.users),
    clients: Number(values.clients),
    pauseMs: 1_000,
    stageMs: Number(values.seconds) * 1_000,
    restart: true,
    faults: ['fails', 'hangs', 'wrong'],
    ...(broker && { outage: { broker, ms: 15_000 } }),
    onStage: text => console.error(text),
  })
  const requests = stages.reduce((sum, each) => sum + each.requests, 0)
  const lost = [...stages, ...rollbacks].reduce((sum, each) => sum + each.lost, 0)
  const errors = stages.reduce((sum, each) => sum + each.errors, 0)
  const unsteady = stages.filter(({ name, unsteady: users }) => !name.includes('away') && users.length > 0)
  const slow = rollbacks.filter(({ decidedMs, lastMs }) => Math.max(decidedMs, lastMs) > maxRollbackMs)
  console.log(
    `bus ${values.bus}, requests ${requests}, lost ${lost}, errors ${errors}, unsteady stages ${unsteady.length}, monotone ${isMonotone}, ` +
      `rollbacks ${rollbacks.map(({ fault, decidedMs, lastMs }) => `${fault} ${decidedMs}/${lastMs} ms`).join(', ')}, ` +
      `comparisons ${report.comparisons}, decisions ${report.decisions.length}`,
  )
  if (lost + errors > 0 || unsteady.length > 0 || !isMonotone || slow.length > 0) process.exitCode = 1
} finally {
  await broker?.stop()
  await rm(folder, { recursive: true, force: true, maxRetries: 20 })
}
