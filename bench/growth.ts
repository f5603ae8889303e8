import type { JetStreamManager } from '@nats-io/jetstream'
import { readFile } from 'node:fs/promises'
import { setTimeout } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { closedLoop } from './lib/load.ts'
import { heading, host, mib, row, withHome } from './lib/host.ts'
import { withManager, withNats } from './lib/nats.ts'
import { agent } from '../src/agents/agent.ts'
import type { Bus } from '../src/bus/bus.ts'
import { app } from '../src/runtime/app.ts'
import { start } from '../src/runtime/start.ts'

/*
 * What do tasks leave on a NATS server, in memory, consumers, subjects and on disk: such as have finished, and such as wait
 * for a result? `node bench/growth.ts [--max 1000000] [--only finished,waiting] [--sync always]` prints a row at 1,000
 * tasks, 10,000 and so on. Each kind has a server of its own.
 */

const { values } = parseArgs({
  options: {
    max: { type: 'string', default: '100000' },
    only: { type: 'string', default: 'finished,waiting' },
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

  /** Each for the answer to a call that nobody serves. */
  async waiting(bus: string, home: string) {
    const running = await start(app({ name: 'waiters', use: [waiter] }), { bus, home, only: ['agents'] })
    return {
      add: (tasks: number) => addWaiting(running.bus, tasks),
      stop: () => running.stop(),
    }
  },
}

for (const kind of values.only.split(',') as (keyof typeof kinds)[])
  await withNats('nats', values.sync, ({ url, pid, about }) =>
    withManager(url, manager =>
      withHome(async home => {
        console.log(`\n${kind} tasks; node ${process.version}, ${about}, ${new Date().toISOString().slice(0, 10)}\n`)
        const { add, stop } = await kinds[kind](`${url}/growth`, home)
        heading([
          'tasks', 'tasks/s', 'server RSS, MiB', 'streams', 'consumers', 'messages', 'subjects', 'stored, MiB', 'B RSS/task',
          'B stored/task', 'messages/task', 'subjects/task',
        ]) // biome-ignore format: one row
        const empty = await stateOf(manager, pid!)
        for (let total = 0, goal = 1_000; goal <= max; goal *= 10) {
          const begin = performance.now()
          await add(goal - total)
          const rate = (goal - total) / ((performance.now() - begin) / 1_000)
          total = goal
          const state = await settled(manager, pid!)
          const each = (key: keyof State, digits = 0) => ((state[key] - empty[key]) / total).toFixed(digits)
          row([
            total, Math.round(rate), mib(state.rss), state.streams, state.consumers, state.messages, state.subjects,
            mib(state.bytes), each('rss'), each('bytes'), each('messages', 1), each('subjects', 1),
          ]) // biome-ignore format: one row
        }
        await stop()
      }),
    ),
  )

interface State {
  rss: number
  streams: number
  consumers: number
  messages: number
  subjects: number
  bytes: number
}

async function stateOf(manager: JetStreamManager, pid: number): Promise<State> {
  const { streams, consumers } = await manager.getAccountInfo()
  const all = { rss: await rssOf(pid), streams, consumers, messages: 0, subjects: 0, bytes: 0 }
  for await (const { state } of manager.streams.list()) {
    all.messages += state.messages
    all.subjects += state.num_subjects ?? 0
    all.bytes += state.bytes
  }
  return all
}

/** When the server has had ten seconds to write behind and to give memory back. */
async function settled(manager: JetStreamManager, pid: number): Promise<State> {
  await setTimeout(10_000)
  return stateOf(manager, pid)
}

async function rssOf(pid: number): Promise<number> {
  const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))!
  return Number(kib) * 1024
}

/** Resolves when they wait. */
async function addWaiting(bus: Bus, tasks: number): Promise<void> {
  for (let left = tasks; left > 0; left -= 500)
    await bus.publishAll(Array.from({ length: Math.min(left, 500) }, () => ({ type: 'bench.wait', data: null })))
  const lag = async () => (await bus.driver.groups()).find(({ group }) => group === 'app/waiters')?.lag ?? 0
  while ((await lag()) > 0) await setTimeout(100)
}
