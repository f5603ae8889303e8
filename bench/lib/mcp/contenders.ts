import { fork } from 'node:child_process'
import { randomUUIDv7 } from 'node:crypto'
import { once } from 'node:events'
import { connect as connectNats } from '@nats-io/transport-node'
import { agent, app, start } from '../../../src/index.ts'
import { host, hostElsewhere, stopChild, withHome } from '../host.ts'
import { tasksOf, type Target } from '../load.ts'
import { payload, startServer, type Sdk, type ToolClient } from './clients.ts'
import { StepJournal } from './journal.ts'
import type { Mode } from './serve.ts'

/** What runs tasks of three calls of the no-op tool, whose code is in another process. */
export interface Contender {
  task(): Promise<void>
}

/** Runs `work` with a contender, and stops it. */
export type Contest = <T>(work: (contender: Contender) => Promise<T>) => Promise<T>

/** How long a connection lives. */
export type Kept = 'kept' | 'per task' | 'per call'

/** An agent that calls over MCP and stores nothing. */
export const overMcp =
  (sdk: Sdk, mode: Mode, kept: Kept): Contest =>
  async work => {
    const server = await startServer(sdk, mode)
    const client = kept === 'kept' ? await server.connect() : undefined
    try {
      return await work({ task: () => threeCalls(client ?? kept, server.connect) })
    } finally {
      await client?.close()
      await server.stop()
    }
  }

async function threeCalls(client: ToolClient | Kept, connect: () => Promise<ToolClient>): Promise<void> {
  if (typeof client === 'object') for (let i = 0; i < 3; i++) await client.call()
  else if (client === 'per task') await connected(connect, own => threeCalls(own, connect))
  else for (let i = 0; i < 3; i++) await connected(connect, own => own.call())
}

async function connected(connect: () => Promise<ToolClient>, work: (client: ToolClient) => Promise<void>) {
  const client = await connect()
  await work(client)
  await client.close()
}

/** The same, with a journal that is written by hand. */
export const journalledMcp =
  (sdk: Sdk, mode: Mode): Contest =>
  work =>
    withHome(async home => {
      const server = await startServer(sdk, mode)
      const client = await server.connect()
      const journal = new StepJournal(home)
      const task = async () => {
        const id = randomUUIDv7()
        await journal.record(id, 0)
        for (let step = 1; step <= 3; step++) {
          await client.call()
          await journal.record(id, step)
        }
        await journal.record(id, 4)
      }
      try {
        return await work({ task })
      } finally {
        await client.close()
        await server.stop()
        journal.close()
      }
    })

/** An agent of Tidings that calls over MCP, in steps. */
export const stepsOverMcp =
  (sdk: Sdk, mode: Mode, bus: string): Contest =>
  work =>
    withHome(async home => {
      const server = await startServer(sdk, mode)
      const client = await server.connect()
      const stepper = agent('stepper', {
        on: 'bench.stepper',
        async run(ctx) {
          for (let i = 0; i < 3; i++) await ctx.step('noop', () => client.call().then(() => payload))
          return 'done'
        },
      })
      const bench = app({
        name: 'steps',
        use: [stepper],
        budget: { calls: Infinity, events: Infinity, bytes: Infinity },
      })
      const running = await start(bench, { home, bus, only: ['agents'] })
      try {
        return await withTasks(tasksOf(running.bus, 'bench.stepper'), work)
      } finally {
        await running.stop()
        await client.close()
        await server.stop()
      }
    })

/** An agent of Tidings that calls tools on the bus. */
export const onBus =
  (bus: string): Contest =>
  work =>
    withHome(async home => {
      const tools = await hostElsewhere(home, ['tools'], bus)
      const here = await host(home, ['agents', 'models'], bus)
      try {
        return await withTasks(tasksOf(here.bus, 'bench.script'), work)
      } finally {
        await here.stop()
        await stopChild(tools)
      }
    })

/** An agent that sends requests over NATS and stores nothing. */
export const overNatsCore =
  (url: string): Contest =>
  async work => {
    const child = fork(import.meta.filename, [url])
    await once(child, 'message')
    const connection = await connectNats({ servers: url, noAsyncTraces: true })
    const task = async () => {
      for (let i = 0; i < 3; i++) {
        const reply = await connection.request('tools.noop', JSON.stringify(payload), { timeout: 30_000 })
        if (reply.json<typeof payload>().q !== payload.q) throw new Error(`unexpected reply: ${reply.string()}`)
      }
    }
    try {
      return await work({ task })
    } finally {
      await connection.close()
      await stopChild(child)
    }
  }

/** Tasks of a target as promises. */
async function withTasks<T>(target: Target, work: (contender: Contender) => Promise<T>): Promise<T> {
  const stop = new AbortController()
  const waiting = new Map<string, PromiseWithResolvers<void>>()
  const ends = await target.ends(stop.signal)
  const reading = (async () => {
    for await (const { task, error } of ends) {
      const end = waiting.get(task)
      waiting.delete(task)
      if (error === undefined) end?.resolve()
      else end?.reject(new Error(error))
    }
  })()
  const task = async () => {
    const id = randomUUIDv7()
    const end = Promise.withResolvers<void>()
    waiting.set(id, end)
    await target.start(id)
    await end.promise
  }
  try {
    return await work({ task })
  } finally {
    stop.abort()
    await reading
  }
}

if (import.meta.main) {
  const connection = await connectNats({ servers: process.argv[2]!, noAsyncTraces: true })
  connection.subscribe('tools.noop', {
    callback: (_error, message) => void message.respond(JSON.stringify(message.json())),
  })
  await connection.flush()
  process.once('disconnect', () => void connection.close())
  process.send!('ready')
}
