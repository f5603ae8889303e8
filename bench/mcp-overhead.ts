import { loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { circumstances, heading, median, row, spread } from './lib/host.ts'
import {
  journalledMcp,
  onBus,
  overMcp,
  overNatsCore,
  stepsOverMcp,
  type Contender,
  type Contest,
} from './lib/mcp/contenders.ts'
import { natsOptions, withLog, withNats } from './lib/nats.ts'

/*
 * Which latency do three tool calls add, over MCP and on a bus? The tool does nothing, with 300 B in and out, in a second process. The contenders
 * alternate; ratios compare runs of the same round.
 *
 *     node bench/mcp-overhead.ts [--repeats 5] [--ms 2000] [--sync always] [--only 'TEXT;…']
 *
 * Session kept, per task and per call: how long a connection lives. SDK 1 is `@modelcontextprotocol/sdk`; SDK 2 `/client` and `/server`, which
 * speak 2026-07-28 wherever there are no sessions.
 */

const { values } = parseArgs({
  options: {
    ...natsOptions,
    repeats: { type: 'string', default: '5' },
    /** Of one measurement. */
    ms: { type: 'string', default: '2000' },
    only: { type: 'string', default: '' },
  },
})
const repeats = Number(values.repeats)
const ms = Number(values.ms)
const loads = [1, 32, 256] as const

/** Median latencies in ms, and tasks per second at 256. */
interface Overhead {
  p50: number[]
  perSecond: number
}

interface Entry {
  readonly contest: Contest
  readonly isDurable: boolean
  readonly runs: Overhead[]
}

await withNats(values.bus, values.sync, async server => {
  console.log(`${circumstances(repeats)}; ${server.about}; load average ${loadavg()[0]!.toFixed(1)}\n`)
  const onNats =
    (of: (bus: string) => Contest): Contest =>
    work =>
      withLog(server, bus => of(bus)(work))
  const contests: Record<string, [Contest, 'durable'?]> = {
    'MCP stdio, SDK 1': [overMcp(1, 'stdio', 'kept')],
    'MCP stdio, SDK 2': [overMcp(2, 'stdio', 'kept')],
    'MCP HTTP, session kept, SDK 1': [overMcp(1, 'stateful', 'kept')],
    'MCP HTTP, session kept, SDK 2': [overMcp(2, 'stateful', 'kept')],
    'MCP HTTP, stateless, SDK 1': [overMcp(1, 'stateless', 'kept')],
    'MCP HTTP, stateless, SDK 2': [overMcp(2, 'stateless', 'kept')],
    'MCP HTTP, session per task, SDK 1': [overMcp(1, 'stateful', 'per task')],
    'MCP HTTP, session per task, SDK 2': [overMcp(2, 'stateful', 'per task')],
    'MCP HTTP, session per call, SDK 1': [overMcp(1, 'stateful', 'per call')],
    'MCP HTTP, session per call, SDK 2': [overMcp(2, 'stateful', 'per call')],
    'NATS request and reply': [overNatsCore(server.url)],
    'MCP HTTP, session kept, SDK 1, and a journal': [journalledMcp(1, 'stateful'), 'durable'],
    'MCP HTTP, stateless, SDK 2, and a journal': [journalledMcp(2, 'stateless'), 'durable'],
    'Tidings steps over MCP HTTP, session kept, SDK 1': [stepsOverMcp(1, 'stateful', 'sqlite'), 'durable'],
    'Tidings steps over MCP HTTP, stateless, SDK 2': [stepsOverMcp(2, 'stateless', 'sqlite'), 'durable'],
    'Tidings, SQLite': [onBus('sqlite'), 'durable'],
    'Tidings, NATS': [onNats(onBus), 'durable'],
  }
  const only = values.only.split(';')
  const entries = new Map<string, Entry>()
  for (const [name, [contest, durable]] of Object.entries(contests))
    if (only.some(text => name.includes(text)))
      entries.set(name, { contest, isDurable: durable !== undefined, runs: [] })
  for (let round = 0; round < repeats; round++)
    for (const { contest, runs } of entries.values()) runs.push(await contest(measure))
  printLatencies(entries)
  printReductions(entries)
})

async function measure(contender: Contender): Promise<Overhead> {
  await closedLoop(contender, 32, ms / 2)
  const runs = []
  for (const inFlight of loads) runs.push(await closedLoop(contender, inFlight, ms))
  return { p50: runs.map(each => median(each.latencies)), perSecond: runs.at(-1)!.perSecond }
}

/** Runs `inFlight` tasks at once: each starts when another ends. */
async function closedLoop({ task }: Contender, inFlight: number, forMs: number) {
  const latencies: number[] = []
  const begin = performance.now()
  const runner = async () => {
    for (let at = begin; at < begin + forMs; ) {
      await task()
      const now = performance.now()
      latencies.push(now - at)
      at = now
    }
  }
  await Promise.all(Array.from({ length: inFlight }, runner))
  return { latencies, perSecond: (latencies.length / (performance.now() - begin)) * 1_000 }
}

function printLatencies(entries: ReadonlyMap<string, Entry>) {
  heading(['', 'durable', 'p50 alone, ms', 'p50 at 32, ms', 'p50 at 256, ms', 'tasks/s at 256'])
  for (const [name, { isDurable, runs }] of entries) {
    const latencies = loads.map((_, i) =>
      spread(
        runs.map(({ p50 }) => p50[i]!),
        i === 0 ? 2 : 1,
      ),
    )
    row([name, isDurable ? 'yes' : 'no', ...latencies, spread(runs.map(each => each.perSecond))])
  }
}

/** How much of the latency a bus removes; negative where it adds. */
function printReductions(entries: ReadonlyMap<string, Entry>) {
  for (const bus of ['NATS request and reply', 'Tidings, SQLite', 'Tidings, NATS']) {
    const on = entries.get(bus)
    if (!on) continue
    console.log('')
    heading([`% of the latency that "${bus}" removes, of`, 'alone', 'at 32', 'at 256'])
    for (const [name, { runs }] of entries)
      if (name.includes('MCP')) {
        const shares = loads.map((_, i) => runs.map(({ p50 }, round) => 100 * (1 - on.runs[round]!.p50[i]! / p50[i]!)))
        row([name, ...shares.map(each => spread(each))])
      }
  }
}
