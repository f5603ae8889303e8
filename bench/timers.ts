import { fork } from 'node:child_process'
import { once } from 'node:events'
import { loadavg } from 'node:os'
import { setTimeout } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import type { Cursor } from '../src/bus/driver.ts'
import { heading, mib, row, withHome } from './lib/host.ts'
import { natsOptions, withLog, withNats } from './lib/nats.ts'
import { agent } from '../src/agents/agent.ts'
import type { Bus } from '../src/bus/bus.ts'
import { app } from '../src/runtime/app.ts'
import { start } from '../src/runtime/start.ts'

/*
 * How late are timers while very many others are pending, and after a restart? Tasks sleep; each step runs in its own process, so
 * that it must read everything from the log:
 *
 *     fill      creates the pending timers, due in a day or more, and a stream of timers that fall due each second
 *     stream    starts while these fall due
 *     overdue   starts when others have been due for seconds
 *
 *     node bench/timers.ts [--pending 1000000] [--rate 200] [--seconds 30] [--overdue 10000] [--bus nats] [--kill]
 *
 * Lateness is the time of the turn that the timer woke minus the time for which it was set, or minus the start of the process for
 * overdue timers. A follower of the log sees the turn once it is on disk. `--kill` kills each step instead of stopping it, so that it
 * writes no checkpoint and its lease has to expire.
 */

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    ...natsOptions,
    bus: { type: 'string', default: 'sqlite' },
    pending: { type: 'string', default: '1000000' },
    rate: { type: 'string', default: '200' },
    seconds: { type: 'string', default: '30' },
    overdue: { type: 'string', default: '10000' },
    kill: { type: 'boolean', default: false },
  },
})
const [pending, rate, seconds, overdue] = [values.pending, values.rate, values.seconds, values.overdue].map(Number) as [
  number, number, number, number,
] // biome-ignore format: one row
const day = 86_400_000
/** Ms between creating the last pending timer and the first of the stream. */
const lead = 20_000
/** Ms after which those are overdue that the next process finds so. */
const grace = 15_000

const sleeper = agent('sleeper', {
  on: 'bench.sleep',
  async run(ctx, { due }: { due: number }) {
    await ctx.sleep(Math.max(0, due - ctx.now))
    return due
  },
})

interface Late {
  readonly decided: number
  readonly seen: number
}

interface Order {
  readonly bus: string
  readonly home: string
  /** What lay on the log before. */
  readonly head: Cursor
}

interface StepResult {
  /** Of the log, when the step had ended. */
  readonly head: Cursor
  readonly rss: number
  /** Ms until it had started. */
  readonly started: number
  /** Ms of each timer, until its task decided and until that was seen. */
  readonly late?: Late[]
  readonly perSecond?: number
}

const steps = {
  async fill(bus: Bus) {
    const begin = performance.now()
    await add(bus, pending, n => Date.now() + day + n)
    const perSecond = pending / ((performance.now() - begin) / 1_000)
    const first = Date.now() + lead
    await add(bus, rate * seconds, n => first + (n * 1_000) / rate)
    return { perSecond }
  },

  async stream(bus: Bus, { head }: Order) {
    const late = await lateness(bus, head, rate * seconds)
    const due = Date.now() + grace
    await add(bus, overdue, () => due)
    return { late }
  },

  overdue: async (bus: Bus, { head }: Order, began: number) => ({ late: await lateness(bus, head, overdue, began) }),
}

/** Resolves when they sleep. */
async function add(bus: Bus, count: number, due: (n: number) => number): Promise<void> {
  const lag = async () => (await bus.driver.listGroups()).find(({ group }) => group === 'app/timers')?.lag ?? 0
  for (let n = 0; n < count; n += 500) {
    const some = Array.from({ length: Math.min(500, count - n) }, (_, i) => n + i)
    await bus.publishAll(some.map(i => ({ type: 'bench.sleep', data: { due: due(i) } })))
    while (n % 10_000 === 0 && (await lag()) > 20_000) await setTimeout(50)
  }
  while ((await lag()) > 0) await setTimeout(50)
}

/** Collects `count` timers as they fire; those due before `since` count from `since`. */
async function lateness(bus: Bus, head: Cursor, count: number, since = 0): Promise<Late[]> {
  const stop = new AbortController()
  const late: Late[] = []
  for await (const { event } of bus.follow(head, [{ types: ['agent.task.completed'] }], stop.signal)) {
    const from = Math.max((event.data as { output: number }).output, since)
    late.push({ decided: Date.parse(event.time) - from, seen: Date.now() - from })
    if (late.length === count) break
  }
  stop.abort()
  return late
}

/** Runs a step in its own process. */
async function run(step: keyof typeof steps, order: Order): Promise<StepResult> {
  const env = { ...process.env, TIDINGS_LOG_LEVEL: 'silent' }
  const child = fork(import.meta.filename, [...process.argv.slice(2), step, JSON.stringify(order)], { env })
  const [result] = (await once(child, 'message')) as [StepResult]
  if (values.kill) child.kill('SIGKILL')
  else child.disconnect()
  await once(child, 'exit')
  return result
}

async function measure(bus: string, home: string): Promise<void> {
  const filled = await run('fill', { bus, home, head: '0' })
  row([
    `creating them, ${Math.round(filled.perSecond!)} tasks/s`,
    Math.round(filled.started),
    '',
    '',
    '',
    '',
    mib(filled.rss),
  ])
  const streamed = await run('stream', { bus, home, head: filled.head })
  show(`${rate} per second`, streamed)
  await setTimeout(grace)
  show(`${overdue} overdue at the start`, await run('overdue', { bus, home, head: streamed.head }))
}

function show(name: string, { started, late, rss }: StepResult): void {
  const at = (key: keyof Late, q: number) => {
    const sorted = late!.map(each => each[key]).toSorted((a, b) => a - b)
    return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))]!)
  }
  row([
    name,
    Math.round(started),
    at('decided', 0.5),
    at('decided', 0.99),
    at('decided', 1),
    at('seen', 0.99),
    mib(rss),
  ])
}

if (process.send) {
  const [step, text] = positionals as [keyof typeof steps, string]
  const order = JSON.parse(text) as Order
  const { bus, home } = order
  const [began, begin] = [Date.now(), performance.now()]
  const running = await start(app({ name: 'timers', use: [sleeper] }), { bus, home, only: ['agents'] })
  const started = performance.now() - begin
  const result = await steps[step](running.bus, order, began)
  const head = await running.bus.head()
  process.send({ ...result, started, head, rss: process.memoryUsage.rss() } satisfies StepResult)
  process.once('disconnect', () => void running.stop())
} else {
  const about = async (what: string, work: () => Promise<void>) => {
    console.log(`\n${pending} pending; node ${process.version}, ${what}, ${new Date().toISOString().slice(0, 10)}\n`)
    heading(['', 'start, ms', 'p50 lateness, ms', 'p99 lateness, ms', 'max, ms', 'p99 until seen, ms', 'RSS, MiB'])
    await work()
    console.log(
      `\nload of the machine: ${loadavg()
        .map(load => load.toFixed(1))
        .join(', ')}`,
    )
  }
  await withHome(async home => {
    if (values.bus === 'sqlite') return about('embedded log', () => measure('sqlite', home))
    await withNats(values.bus, values.sync, server =>
      about(server.about, () => withLog(server, bus => measure(bus, home))),
    )
  })
}
