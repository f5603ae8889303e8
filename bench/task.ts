import { execFileSync } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startFloor, type Floor } from './lib/floors/floor.ts'
import { startKafkaFloor } from './lib/floors/kafka-floor.ts'
import { circumstances, heading, host, hostElsewhere, median, row, spread, stopChild, withHome } from './lib/host.ts'
import { withKafka, withKafkaLog, type KafkaBroker } from './lib/kafka.ts'
import { closedLoop, closedLoopOf, figuresOf, tasksOf, type Figures, type Target } from './lib/load.ts'
import { fsyncsDuring, syncsIn, withLog, withNats, type NatsServer } from './lib/nats.ts'
import { rawLoop } from './lib/raw.ts'

/*
 * How fast is a task of three no-op tool calls (300 B of JSON) with a no-op model between? In three shapes: `program` (a
 * bare program that simulates its model itself, as the benchmarks of other runtimes do), `script` (straight-line code) and `loop` (an LLM
 * agent: every model call is also a request and an answer on the log).
 *
 *     node bench/task.ts [--repeats 5] [--shapes program,script,loop] [--tasks 8000]
 *     node bench/task.ts --bus nats [--sync always] …
 *     node bench/task.ts --bus nats://HOST:PORT …
 *     node bench/task.ts --bus kafka [--backoff 20] …
 *     node bench/task.ts --bus kafka://HOST:PORT …
 *
 * On the embedded log with synchronous=FULL, in one process and in two; or on NATS or Kafka in two, beside the same task written by
 * hand with the raw client (`lib/floors/`), alternately. `nats` and `kafka` start a server with an empty store. `--backoff`: the broker's
 * `add.partitions.to.txn.retry.backoff.ms`.
 */

const { values } = parseArgs({
  options: {
    repeats: { type: 'string', default: '5' },
    shapes: { type: 'string', default: 'program,script,loop' },
    tasks: { type: 'string', default: '8000' },
    bus: { type: 'string', default: 'sqlite' },
    sync: { type: 'string', default: 'default' },
    backoff: { type: 'string', default: '1' },
    traced: { type: 'string' },
  },
})
const shapes = values.shapes.split(',').filter(Boolean)
const tasks = Number(values.tasks)
const repeats = Number(values.repeats)
const tracedTasks = 2_000

if (values.traced) await withHome(home => count(home, values.traced!))
else if (values.bus === 'sqlite') await compare()
else if (values.bus.startsWith('kafka')) await withKafka(values.bus, Number(values.backoff), compareOnKafka)
else await withNats(values.bus, values.sync, compareOnNats)

async function compare() {
  console.log(`${circumstances(repeats)}\n`)
  heading([
    'shape', 'processes', 'p50 alone, ms', 'p99 alone, ms', 'tasks/s at 32', 'tasks/s at 256', 'raw inserts, tasks/s', 'share of raw',
    'fsyncs/task at 256',
  ]) // biome-ignore format: one row
  for (const shape of shapes)
    for (const processes of [1, 2]) {
      const runs: (Figures & { raw: number })[] = []
      for (let i = 0; i < repeats; i++) runs.push(await withHome(home => run(home, shape, processes)))
      const raw = median(runs.map(each => each.raw))
      const most = median(runs.map(each => each.at256))
      row([
        shape, processes, spread(runs.map(each => each.p50), 2), spread(runs.map(each => each.p99), 1),
        spread(runs.map(each => each.at32)), spread(runs.map(each => each.at256)), Math.round(raw), (most / raw).toFixed(2),
        processes === 1 ? fsyncs(shape) : '',
      ]) // biome-ignore format: one row
    }
}

async function run(home: string, shape: string, processes: number) {
  const elsewhere = processes === 2 ? [await hostElsewhere(home, ['tools'], values.bus)] : []
  const here = await host(home, processes === 2 ? ['agents', 'models'] : ['agents', 'models', 'tools'], values.bus)
  try {
    const figures = await figuresOf(tasksOf(here.bus, `bench.${shape}`), tasks)
    return { ...figures, raw: await rawLoop(await rowsOfOne(), tasks, 256) }
  } finally {
    await here.stop()
    for (const child of elsewhere) await stopChild(child)
  }

  /** What the log holds of the last task. */
  async function rowsOfOne() {
    const rows = []
    const head = Number(await here.bus.driver.head())
    let correlation = ''
    for await (const { event } of here.bus.read({ after: String(head - 1) })) correlation = event.correlationid
    for await (const { event } of here.bus.read({ correlation }))
      rows.push({ id: event.id.slice(36), type: event.type, json: JSON.stringify(event) })
    return rows
  }
}

/** Runs tasks and prints nothing: for the system-call counter around it. */
async function count(home: string, shape: string) {
  const here = await host(home, ['agents', 'models', 'tools'], values.bus)
  await closedLoop(here.bus, `bench.${shape}`, tracedTasks, 256)
  await here.stop()
}

function fsyncs(shape: string): string {
  const file = join(tmpdir(), `tidings-fsyncs-${process.pid}`)
  const traced = [process.execPath, import.meta.filename, '--traced', shape]
  try {
    execFileSync('strace', ['-f', '-c', '-e', 'trace=fdatasync,fsync', '-o', file, ...traced], { stdio: 'ignore' })
    return (syncsIn(readFileSync(file, 'utf8')) / tracedTasks).toFixed(2)
  } catch {
    return 'needs strace'
  } finally {
    rmSync(file, { force: true })
  }
}

async function compareOnNats(server: NatsServer) {
  console.log(`${circumstances(repeats)}; ${server.about}, agents and tools in two processes\n`)
  const contenders = ['floor B', 'floor C', ...shapes]
  const runs = new Map<string, Figures[]>(contenders.map(name => [name, []]))
  for (let round = 0; round < repeats; round++)
    for (const name of contenders) runs.get(name)!.push(await contend(server, name, target => figuresOf(target, tasks)))
  heading([
    'shape', 'p50 alone, ms', 'p99 alone, ms', 'tasks/s at 1', 'tasks/s at 32', 'tasks/s at 256', "share of floor C's tasks/s at 256",
    "multiple of floor C's p50", 'fsyncs/task at 256',
  ]) // biome-ignore format: one row
  const floor = runs.get('floor C')!
  for (const [name, of] of runs) {
    const traced = await contend(server, name, target =>
      fsyncsDuring(server, () => closedLoopOf(target, tracedTasks, 256)),
    )
    row([
      name, spread(of.map(each => each.p50), 2), spread(of.map(each => each.p99), 1), spread(of.map(each => each.at1)),
      spread(of.map(each => each.at32)), spread(of.map(each => each.at256)),
      spread(of.map((each, round) => each.at256 / floor[round]!.at256), 2),
      spread(of.map((each, round) => each.p50 / floor[round]!.p50), 2),
      traced === undefined ? 'not seen' : (traced / tracedTasks).toFixed(2),
    ]) // biome-ignore format: one row
  }
}

async function compareOnKafka(broker: KafkaBroker) {
  console.log(`${circumstances(repeats)}; ${broker.about}, agents and tools in two processes\n`)
  const contenders = ['floor', ...shapes]
  const runs = new Map<string, Figures[]>(contenders.map(name => [name, []]))
  const contendOn = (name: string) => {
    const work = (target: Target) => figuresOf(target, tasks)
    if (name === 'floor') return onFloor(startKafkaFloor(broker.bootstrap), work)
    return withKafkaLog(broker, bus => onApp(bus, name, work))
  }
  for (let round = 0; round < repeats; round++)
    for (const name of contenders) runs.get(name)!.push(await contendOn(name))
  heading([
    'shape', 'p50 alone, ms', 'p99 alone, ms', 'tasks/s at 1', 'tasks/s at 32', 'tasks/s at 256', "share of the floor's tasks/s at 256",
    "multiple of the floor's p50",
  ]) // biome-ignore format: one row
  const floor = runs.get('floor')!
  for (const [name, of] of runs)
    row([
      name, spread(of.map(each => each.p50), 2), spread(of.map(each => each.p99), 1), spread(of.map(each => each.at1)),
      spread(of.map(each => each.at32)), spread(of.map(each => each.at256)),
      spread(of.map((each, round) => each.at256 / floor[round]!.at256), 2),
      spread(of.map((each, round) => each.p50 / floor[round]!.p50), 2),
    ]) // biome-ignore format: one row
}

async function contend<T>(server: NatsServer, name: string, work: (target: Target) => Promise<T>): Promise<T> {
  if (name === 'floor B' || name === 'floor C')
    return onFloor(startFloor(server.url, name === 'floor B' ? 'B' : 'C'), work)
  return withLog(server, bus => onApp(bus, name, work))
}

async function onFloor<T>(starting: Promise<Floor>, work: (target: Target) => Promise<T>): Promise<T> {
  const floor = await starting
  try {
    return await work(floor)
  } finally {
    await floor.stop()
  }
}

/** The bench app with its tools in a second process. */
function onApp<T>(bus: string, name: string, work: (target: Target) => Promise<T>): Promise<T> {
  return withHome(async home => {
    const elsewhere = await hostElsewhere(home, ['tools'], bus)
    const here = await host(home, ['agents', 'models'], bus)
    try {
      return await work(tasksOf(here.bus, `bench.${name}`))
    } finally {
      await here.stop()
      await stopChild(elsewhere)
    }
  })
}
