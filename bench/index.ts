import { execFile } from 'node:child_process'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { circumstances, heading, host, mib, row, withHome } from './lib/host.ts'
import { closedLoop } from './lib/load.ts'
import { withLog, withNats } from './lib/nats.ts'
import type { Bus } from '../src/bus/bus.ts'
import type { Role } from '../src/runtime/start.ts'
import type { CloudEvent } from '../src/event.ts'
import { withIndex } from '../src/trace/index/open.ts'
import { render } from '../src/trace/render.ts'
import { renderWhy } from '../src/trace/render-why.ts'
import { traceOf } from '../src/trace/trace.ts'
import { whyOf } from '../src/trace/why.ts'

/*
 * How long does it take to build the index of a log, how large is it, and how long do `trace` and `why` take then? The log
 * comes from LLM agents and straight-line agents that call a tool three times.
 *
 *     node bench/index.ts [EVENTS] [--bus nats|nats://HOST:PORT] [--sync always]
 */

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { bus: { type: 'string', default: 'sqlite' }, sync: { type: 'string', default: 'default' } },
})
const events = Number(positionals[0] ?? 1_000_000)
const asked = 500
const askedByProcesses = 20
const roles: Role[] = ['agents', 'models', 'tools']
const main = join(import.meta.dirname, '../src/cli/main.ts')

console.log(`${circumstances(1)}; ${events.toLocaleString('en')} events\n`)
heading([
  '',
  'events',
  'build, s',
  'events/s',
  'index, MiB',
  '',
  'p50, ms',
  'p99, ms',
  'as a process: p50, ms',
  'p99, ms',
])
if (values.bus === 'sqlite') await withHome(home => measure(home, 'sqlite'))
else await withNats(values.bus, values.sync, server => withHome(home => withLog(server, bus => measure(home, bus))))

async function measure(home: string, address: string): Promise<void> {
  const running = await host(home, roles, address)
  const { bus } = running
  try {
    while (Number(await bus.driver.head()) < events) {
      await closedLoop(bus, 'bench.loop', Math.min(2_000, Math.ceil(events / 40)), 256)
      await closedLoop(bus, 'bench.script', Math.min(2_000, Math.ceil(events / 40)), 256)
    }
    const file = join(home, 'index', 'bench.db')
    const begin = performance.now()
    await withIndex(bus, file, () => {})
    const seconds = (performance.now() - begin) / 1_000
    const head = Number(await bus.driver.head())
    const some = await sample(bus, head)
    const trace = ({ correlationid: id }: CloudEvent) =>
      withIndex(bus, file, async index => render(await traceOf(bus, id, each => index.positionsOf(each)), 120))
    const why = ({ id }: CloudEvent) =>
      withIndex(bus, file, async index => renderWhy(await whyOf(bus, index, index.positionOf(id)!), 120))
    const size = mib((await stat(file)).size)
    const built = [bus.driver.name, head, seconds.toFixed(1), Math.round(head / seconds), size]
    // Its index is that of the log's address: the first process builds it.
    await cli(home, address, ['trace', 'last'])
    row([
      ...built,
      'trace',
      ...(await timesOf(some, trace)),
      ...(await processTimes(home, address, some, ({ correlationid }) => ['trace', correlationid])),
    ])
    row([
      '',
      '',
      '',
      '',
      '',
      'why',
      ...(await timesOf(some, why)),
      ...(await processTimes(home, address, some, ({ id }) => ['why', id])),
    ])
  } finally {
    await running.stop()
  }
}

/** Events from anywhere on the log. */
async function sample(bus: Bus, head: number): Promise<CloudEvent[]> {
  const positions = Array.from({ length: asked }, () => ({
    partition: 0,
    offset: 1 + Math.floor(Math.random() * head),
  }))
  return (await bus.driver.readAt(positions)).filter(stored => stored !== undefined).map(({ event }) => event)
}

function processTimes(
  home: string,
  address: string,
  some: readonly CloudEvent[],
  args: (event: CloudEvent) => string[],
): Promise<string[]> {
  return timesOf(some.slice(0, askedByProcesses), event => cli(home, address, args(event)))
}

async function cli(home: string, address: string, args: string[]): Promise<void> {
  const env = { ...process.env, TIDINGS_HOME: home, TIDINGS_BUS: address }
  await promisify(execFile)(process.execPath, [main, ...args], { env })
}

/** p50 and p99 in ms. */
async function timesOf<T>(all: readonly T[], work: (each: T) => Promise<unknown>): Promise<string[]> {
  const times: number[] = []
  for (const each of all) {
    const begin = performance.now()
    await work(each)
    times.push(performance.now() - begin)
  }
  times.sort((a, b) => a - b)
  return [0.5, 0.99].map(share => times[Math.floor((times.length - 1) * share)]!.toFixed(1))
}
