import { fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { openDriver } from '../../src/runtime/drivers.ts'
import { entries } from '../../src/testing/conformance/entries.ts'
import { startNats } from '../../src/testing/nats/start.ts'
import { Effects, finishOrders, grant, placeOrders, projection, startOrders } from './workload.ts'

/*
 * `npm run copies -- --orders 60 --events 50000 --kills 10`: a log with work in every state moves from SQLite to NATS with three partitions,
 * to NATS with one, to Kafka if `--kafka BOOTSTRAP` says where, and to SQLite. Each copy is killed at random moments and run again. On each
 * log some of the work goes on. Ends with 1 if a projection differs or a tool ran twice.
 */

const { values } = parseArgs({
  options: {
    orders: { type: 'string', default: '30' },
    events: { type: 'string', default: '20000' },
    kills: { type: 'string', default: '5' },
    kafka: { type: 'string' },
  },
})
const [orders, events, kills] = [values.orders, values.events, values.kills].map(Number) as [number, number, number]
const home = await mkdtemp(join(tmpdir(), 'tidings-copies-'))
const nats = await startNats()
const name = randomUUID()
const logs = [
  `sqlite:${join(home, 'first')}`,
  `${nats.url}/a-${name}?partitions=3`,
  `${nats.url}/b-${name}`,
  ...(values.kafka === undefined ? [] : [`kafka://${values.kafka}/c-${name}?partitions=3`]),
  `sqlite:${join(home, 'last')}`,
]
const main = join(import.meta.dirname, '../../src/cli/main.ts')

const open = (log: string) =>
  openDriver(
    log.startsWith('sqlite:')
      ? { bus: 'sqlite', home: log.slice('sqlite:'.length) }
      : { bus: log, home: join(home, 'client') },
  )

async function look(log: string): Promise<string> {
  const driver = await open(log)
  try {
    return await projection(driver)
  } finally {
    await driver.close()
  }
}

function copyProcess(from: string, to: string) {
  const env = { ...process.env, TIDINGS_HOME: join(home, 'client') }
  return fork(main, ['copy', '--from', from, '--to', to], { env, stdio: ['ignore', 'pipe', 'inherit', 'ipc'] })
}

async function copyWithKills(from: string, to: string): Promise<void> {
  let killed = 0
  let within = 2_000
  for (; killed < kills; ) {
    const child = copyProcess(from, to)
    const done = once(child, 'exit')
    const [code] = await Promise.race([done, setTimeout(300 + Math.random() * within, [undefined])])
    if (code === 0) break
    if (code !== undefined) throw new Error(`the copy ended with ${code}`)
    child.kill('SIGKILL')
    await done
    killed++
    within *= 1.3
  }
  const begun = performance.now()
  const child = copyProcess(from, to)
  let text = ''
  child.stdout!.on('data', chunk => (text += String(chunk)))
  const [code] = await once(child, 'exit')
  const seconds = (performance.now() - begun) / 1_000
  console.info(`${killed} kills, then ${seconds.toFixed(1)} s: ${text.split('\n')[0]}`)
  if (code !== 0 && !text) throw new Error(`the copy ended with ${code}`)
}

const effects = new Effects()
const numbers = Array.from({ length: orders }, (_, n) => n)
const first = await open(logs[0]!)
const running = await startOrders(first, effects)
await placeOrders(running, numbers)
for (let i = 0; i < events; i += 500)
  await first.publish(entries(Math.min(500, events - i), () => ({ type: 'noise.made' })))
await running.stop()
let isSame = true
for (const [i, to] of logs.slice(1).entries()) {
  const from = logs[i]!
  const before = await look(from)
  console.info(`${from.split('?')[0]} → ${to.split('?')[0]}`)
  await copyWithKills(from, to)
  const after = await look(to)
  isSame &&= before === after
  console.info(before === after ? `projection ${after.slice(0, 16)} on both` : 'THE PROJECTIONS DIFFER')
  const worker = await startOrders(await open(to), effects)
  if (i === logs.length - 2) await finishOrders(worker, numbers)
  else await grant(worker, Math.floor(orders / 10))
  await worker.stop()
}
console.info(`${effects.runs.length} runs of tools, ${effects.twice.length} twice`)
await nats.stop()
await rm(home, { recursive: true, force: true })
process.exitCode = isSame && effects.twice.length === 0 && effects.runs.length === 6 * orders ? 0 : 1
