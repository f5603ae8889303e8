import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { gatewayKillTest } from '../test/gateway-kills/gateway-kills.ts'
import { isClean } from '../test/gateway-kills/verify.ts'
import { oneNats } from '../test/kills/broker.ts'

/*
 * Kills the gateway every second while clients publish with idempotency keys and read the streams of their users, then compares what they were
 * told, what is stored and what they saw: `npm run gateway-kills -- --bus sqlite|nats [--partitions 3] [--seconds 120] [--clients 200]`.
 */

const { values } = parseArgs({
  options: {
    bus: { type: 'string', default: 'sqlite' },
    /** Of the log, with --bus nats. */
    partitions: { type: 'string', default: '1' },
    seconds: { type: 'string', default: '120' },
    clients: { type: 'string', default: '200' },
    /** Requests of one client in a second. */
    rate: { type: 'string', default: '1' },
  },
})
if (values.bus !== 'sqlite' && values.bus !== 'nats')
  throw new Error(`unknown bus "${values.bus}": expected sqlite or nats`)

const folder = await mkdtemp(join(tmpdir(), 'tidings-gateway-kills-'))
// The gateway starts often: its processes share the compile cache of Node.
process.env.NODE_COMPILE_CACHE = join(folder, 'compiled')
process.env.TIDINGS_LOG_LEVEL ??= 'silent'
const broker = values.bus === 'nats' ? await oneNats(Number(values.partitions)) : undefined
try {
  const { differences, figures } = await gatewayKillTest({
    home: join(folder, 'home'),
    bus: broker?.address('gateway-kills') ?? 'sqlite',
    clients: Number(values.clients),
    kills: Number(values.seconds),
    killEveryMs: 1_000,
    intervalMs: 1_000 / Number(values.rate),
    patienceMs: 60_000,
    onProgress: text => process.stderr.isTTY && process.stderr.write(`\r${text}   `),
  })
  const counts = Object.entries(differences).map(([name, list]) => [name, list.length] as const)
  const line = [['bus', values.bus], ...Object.entries(figures), ...counts].map(([name, count]) => `${name} ${count}`)
  console.log(line.join(', '))
  if (!isClean(differences)) {
    for (const [name, list] of Object.entries(differences))
      for (const each of list.slice(0, 20)) console.log(name, each)
    process.exitCode = 1
  }
} finally {
  await broker?.stop()
  await rm(folder, { recursive: true, force: true, maxRetries: 20 })
}
