import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { text } from 'node:stream/consumers'
import { heading, row, withHome } from './lib/host.ts'
import { natsOptions, withLog, withNats } from './lib/nats.ts'
import { agent } from '../src/agents/agent.ts'
import type { Bus } from '../src/bus/bus.ts'
import { app } from '../src/runtime/app.ts'
import { start } from '../src/runtime/start.ts'

/*
 * How long does `tidings attention` take, with many live tasks and with a long attention list?
 *
 *     node bench/attention.ts [--tasks 35000] [--ended 0] [--parked 35000] [--bus nats] [--kill]
 *
 * Another process fills the log: tasks that sleep for a day, tasks that ended, deliveries that are parked. `--kill` kills it
 * instead of stopping it, so that it writes no checkpoint. Each command runs in its own process, twice: the first run updates the index.
 */

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    ...natsOptions,
    bus: { type: 'string', default: 'sqlite' },
    tasks: { type: 'string', default: '35000' },
    ended: { type: 'string', default: '0' },
    parked: { type: 'string', default: '35000' },
    kill: { type: 'boolean', default: false },
  },
})
const cli = join(import.meta.dirname, '../src/cli/main.ts')

const sleeper = agent('sleeper', {
  on: 'bench.sleep',
  async run(ctx, { ms }: { ms: number }) {
    if (ms > 0) await ctx.sleep(ms)
    return ms
  },
})

/** `count` tasks; resolves when they sleep, or have ended. */
async function add(bus: Bus, count: number, ms: number): Promise<void> {
  const lag = async () => (await bus.driver.listGroups()).find(({ group }) => group === 'app/attention')?.lag ?? 0
  for (let n = 0; n < count; n += 500) {
    const size = Math.min(500, count - n)
    await bus.publishAll(Array.from({ length: size }, () => ({ type: 'bench.sleep', data: { ms } })))
    while (n % 10_000 === 0 && (await lag()) > 20_000) await setTimeout(50)
  }
  while ((await lag()) > 0) await setTimeout(50)
}

async function park(bus: Bus, count: number): Promise<void> {
  let parked = 0
  const consumer = await bus.driver.subscribe({
    group: 'parking',
    mode: 'shared',
    filter: [{ types: ['bench.park'] }],
    maxInFlight: 256,
    from: 'beginning',
    onDelivery: delivery =>
      void delivery
        .settle({ kind: 'park', reason: { code: 'E_BUSY', message: `no room for ${delivery.event.id}` } })
        .then(() => parked++),
  })
  for (let n = 0; n < count; n += 500)
    await bus.publishAll(Array.from({ length: Math.min(500, count - n) }, () => ({ type: 'bench.park', data: n })))
  while (parked < count) await setTimeout(50)
  await consumer.close()
}

async function timed(name: string, work: () => Promise<unknown>): Promise<void> {
  const begin = performance.now()
  const output = await work()
  row([name, ((performance.now() - begin) / 1_000).toFixed(2), output])
}

const countOf = async (all: AsyncIterable<unknown>) => (await Array.fromAsync(all, () => 1)).length

async function command(bus: string, home: string, args: readonly string[]): Promise<string> {
  const env = { ...process.env, TIDINGS_HOME: home, TIDINGS_BUS: bus, NO_COLOR: '1' }
  const child = spawn(process.execPath, [cli, ...args], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  const [out] = await Promise.all([text(child.stdout), once(child, 'close')])
  return `${out.length} characters`
}

async function measure(bus: string, home: string): Promise<void> {
  for (const step of ['live', 'parked'] as const) {
    const child = fork(import.meta.filename, [...process.argv.slice(2), step, bus, home])
    await once(child, 'message')
    if (values.kill) child.kill('SIGKILL')
    else child.disconnect()
    await once(child, 'exit')
    const reader = await start(app({ name: 'reader', use: [] }), { bus, home, only: [] })
    const { driver } = reader.bus
    await timed(`${step}: missed wake-ups`, () => countOf(driver.missedWakes(Date.now() - 10_000)))
    await timed(`${step}: entries`, () => countOf(driver.listDeferred()))
    await reader.stop()
    for (const args of [['status'], ['status'], ['attention'], ['attention', '--json'], ['top', '--once']])
      await timed(`${step}: tidings ${args.join(' ')}`, () => command(bus, home, args))
  }
}

const [step, bus, home] = positionals
if (process.send && step && bus && home) {
  const running = await start(app({ name: 'attention', use: [sleeper] }), { bus, home, only: ['agents'] })
  if (step === 'live') {
    await add(running.bus, Number(values.ended), 0)
    await add(running.bus, Number(values.tasks), 86_400_000)
  } else await park(running.bus, Number(values.parked))
  process.send('done')
  process.once('disconnect', () => void running.stop())
} else {
  const about = async (what: string, work: () => Promise<void>) => {
    console.log(`\n${values.tasks} live tasks, ${values.ended} ended, ${values.parked} parked; ${what}\n`)
    heading(['', 'seconds', ''])
    await work()
    console.log(
      `\nload of the machine: ${loadavg()
        .map(load => load.toFixed(1))
        .join(', ')}`,
    )
  }
  await withHome(home =>
    values.bus === 'sqlite'
      ? about('embedded log', () => measure('sqlite', home))
      : withNats(values.bus, values.sync, server =>
          about(server.about, () => withLog(server, log => measure(log, home))),
        ),
  )
}
