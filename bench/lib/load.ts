import { randomUUIDv7 } from 'node:crypto'
import type { Bus } from '../../src/bus/bus.ts'
import type { StoredEvent } from '../../src/bus/driver.ts'
import { TidingsError } from '../../src/errors.ts'

export interface LoadResult {
  tasks: number
  seconds: number
  perSecond: number
  p50: number
  p99: number
}

/** What runs tasks. */
export interface Target {
  start(task: string): Promise<unknown>
  /** The ends of tasks from now on, possibly also of others. */
  ends(signal: AbortSignal): Promise<AsyncIterable<End>>
}

interface End {
  task: string
  error?: string
}

/** Tasks that are started by an event of this type, which is their correlation. */
export const tasksOf = (bus: Bus, type: string): Target => ({
  start: correlationid => bus.publish({ type, correlationid, data: { go: true } }),
  ends: async signal => endsOf(await followEnds(bus, signal)),
})

async function* endsOf(follower: AsyncIterable<StoredEvent>): AsyncGenerator<End> {
  for await (const { event } of follower)
    yield {
      task: event.correlationid,
      ...(event.type === 'agent.task.failed' && { error: JSON.stringify(event.data) }),
    }
}

export const closedLoop = (bus: Bus, type: string, tasks: number, inFlight: number): Promise<LoadResult> =>
  closedLoopOf(tasksOf(bus, type), tasks, inFlight)

/** Runs `inFlight` tasks at once in a closed loop: each starts when another completes. Latencies in ms. */
export async function closedLoopOf(target: Target, tasks: number, inFlight: number): Promise<LoadResult> {
  const stop = new AbortController()
  const started = new Map<string, number>()
  const latencies: number[] = []
  const ends = await target.ends(stop.signal)
  let published = 0
  const start = async () => {
    if (published++ >= tasks) return
    const task = randomUUIDv7()
    started.set(task, performance.now())
    await target.start(task)
  }
  const begin = performance.now()
  for (let i = 0; i < Math.min(inFlight, tasks); i++) void start()
  for await (const { task, error } of ends) {
    const since = started.get(task)
    if (since === undefined) continue
    if (error) throw new TidingsError('E_PROGRAM_FAILED', error)
    started.delete(task)
    latencies.push(performance.now() - since)
    if (latencies.length === tasks) break
    void start()
  }
  stop.abort()
  const seconds = (performance.now() - begin) / 1_000
  latencies.sort((a, b) => a - b)
  const at = (q: number) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * q))]!
  return { tasks, seconds, perSecond: tasks / seconds, p50: at(0.5), p99: at(0.99) }
}

export interface Figures {
  p50: number
  p99: number
  at1: number
  at32: number
  at256: number
}

/** One task at a time, then 32 and 256 in flight, after a warm-up. */
export async function figuresOf(target: Target, tasks: number): Promise<Figures> {
  await closedLoopOf(target, 500, 32)
  const { p50, p99, perSecond: at1 } = await closedLoopOf(target, 300, 1)
  const { perSecond: at32 } = await closedLoopOf(target, tasks / 2, 32)
  const { perSecond: at256 } = await closedLoopOf(target, tasks, 256)
  return { p50, p99, at1, at32, at256 }
}

export interface OpenLoopResult {
  tasks: number
  failed: number
  seconds: number
  p99: number
}

/** Starts tasks at a fixed rate per second. A closed loop would hide queueing. */
export async function openLoop(bus: Bus, type: string, tasks: number, rate: number): Promise<OpenLoopResult> {
  const stop = new AbortController()
  const started = new Map<string, number>()
  const latencies: number[] = []
  let failed = 0
  const begin = performance.now()
  const follower = await followEnds(bus, stop.signal)
  const sending = (async () => {
    for (let i = 0; i < tasks; i++) {
      const due = begin + (i * 1_000) / rate
      while (performance.now() < due)
        await new Promise(resolve => setTimeout(resolve, Math.max(0, due - performance.now())))
      const correlationid = randomUUIDv7()
      started.set(correlationid, due)
      void bus.publish({ type, correlationid, data: null })
    }
  })()
  for await (const { event } of follower) {
    const since = started.get(event.correlationid)
    if (since === undefined) continue
    if (event.type === 'agent.task.failed') failed++
    latencies.push(performance.now() - since)
    if (latencies.length === tasks) break
  }
  stop.abort()
  await sending
  latencies.sort((a, b) => a - b)
  return { tasks, failed, seconds: (performance.now() - begin) / 1_000, p99: latencies[Math.floor(tasks * 0.99)]! }
}

/** The ends of tasks from now on. */
const followEnds = async (bus: Bus, signal: AbortSignal) =>
  bus.follow(await bus.driver.head(), [{ types: ['agent.task.completed', 'agent.task.failed'] }], signal)
