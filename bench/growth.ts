import type { JetStreamManager } from '@nats-io/jetstream'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { closedLoop } from './lib/load.ts'
import { heading, host, mib, row, withHome } from './lib/host.ts'
import { withManager, withNats, type NatsServer } from './lib/nats.ts'
import { agent } from '../src/agents/agent.ts'
import type { Bus } from '../src/bus/bus.ts'
import { app } from '../src/runtime/app.ts'
import { start } from '../src/runtime/start.ts'

/*
 * How much memory, disk, and how many consumers and subjects do finished and waiting tasks use on a NATS server? Each kind has
 * its own server; one row at 1,000 tasks, 10,000 and so on.
 *
 *     node bench/growth.ts [--max 1000000] [--only finished,waiting] [--settle 10] [--sync always]
 *
 * `--settle`: seconds that a row waits for the server to write and to release memory. The server remembers ids for two minutes:
 * 240 shows what stays, 10 also shows what goes.
 */

const { values } = parseArgs({
  options: {
    max: { type: 'string', default: '100000' },
    only: { type: 'string', default: 'finished,waiting' },
    settle: { type: 'string', default: '10' },
    sync: { type: 'string', default: 'default' },
  },
})
const max = Number(values.max)

const waiter = agent('waiter', { on: 'bench.wait', run: ctx => ctx.call({ kind: 'tool', name: 'nobody' }, null) })

const kinds = {
  /** Each with three calls of a tool. */
  async finished(bus: string, home: string) {
    const running = await host(home, ['agents', 'models', 'tools'], bus)
    return {
      add: (tasks: number) => closedLoop(running.bus, 'bench.program', tasks, 256),
      stop: () => running.stop(),
    }
  },

  /** Each waits for a call that nobody serves. */
  async waiting(bus: string, home: string) {
    const running = await start(app({ name: 'waiters', use: [waiter] }), { bus, home, only: ['agents'] })
    return {
      add: (tasks: number) => addWaiting(running.bus, tasks),
      stop: () => running.stop(),
    }
  },
}

for (const kind of values.only.split(',') as (keyof typeof kinds)[])
  await withNats('nats', values.sync, ({ url, own, about }) =>
    withManager(url, manager =>
      withHome(async home => {
        console.log(`\n${kind} tasks; node ${process.version}, ${about}, ${new Date().toISOString().slice(0, 10)}\n`)
        const { add, stop } = await kinds[kind](`${url}/growth`, home)
        heading([
          'tasks', 'tasks/s', 'server RSS, MiB', 'streams', 'consumers', 'messages', 'subjects', 'on disk, MiB', 'B RSS/task',
          'B on disk/task', 'messages/task', 'subjects/task',
        ]) // biome-ignore format: one row
        const empty = await stateOf(manager, own!)
        for (let total = 0, goal = 1_000; goal <= max; goal *= 10) {
          const begin = performance.now()
          await add(goal - total)
          const rate = (goal - total) / ((performance.now() - begin) / 1_000)
          total = goal
          await setTimeout(Number(values.settle) * 1_000)
          const state = await stateOf(manager, own!)
          const each = (key: keyof State, digits = 0) => ((state[key] - empty[key]) / total).toFixed(digits)
          row([
            total, Math.round(rate), mib(state.rss), state.streams, state.consumers, state.messages, state.subjects,
            mib(state.disk), each('rss'), each('disk'), each('messages', 1), each('subjects', 1),
          ]) // biome-ignore format: one row
        }
        await stop()
      }),
    ),
  )

interface State {
  rss: number
  disk: number
  streams: number
  consumers: number
  messages: number
  subjects: number
}

async function stateOf(manager: JetStreamManager, { pid, dataDir }: NonNullable<NatsServer['own']>): Promise<State> {
  const { streams, consumers } = await manager.getAccountInfo()
  const all = { rss: await rssOf(pid), disk: await diskOf(dataDir), streams, consumers, messages: 0, subjects: 0 }
  for await (const { state } of manager.streams.list()) {
    all.messages += state.messages
    all.subjects += state.num_subjects ?? 0
  }
  return all
}

async function rssOf(pid: number): Promise<number> {
  const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))!
  return Number(kib) * 1024
}

async function diskOf(folder: string): Promise<number> {
  const files = await readdir(folder, { recursive: true })
  // A file may disappear between the two calls.
  const sizes = files.map(file =>
    stat(join(folder, file)).then(
      ({ blocks }) => blocks * 512,
      () => 0,
    ),
  )
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
}

/** Resolves when all tasks wait. */
async function addWaiting(bus: Bus, tasks: number): Promise<void> {
  for (let left = tasks; left > 0; left -= 500)
    await bus.publishAll(Array.from({ length: Math.min(left, 500) }, () => ({ type: 'bench.wait', data: null })))
  const lag = async () => (await bus.driver.listGroups()).find(({ group }) => group === 'app/waiters')?.lag ?? 0
  while ((await lag()) > 0) await setTimeout(100)
}
