import { randomUUIDv7 } from 'node:crypto'
import type { Bus } from '../../src/bus/bus.ts'
import { TidingsError } from '../../src/errors.ts'

export interface LoadResult {
  tasks: number
  seconds: number
  perSecond: number
  p50: number
  p99: number
}

/** Runs tasks in a closed loop: as many as `inFlight` at once, each started when another completes. Latencies in ms. */
export async function closedLoop(bus: Bus, type: string, tasks: number, inFlight: number): Promise<LoadResult> {
  const stop = new AbortController()
  const started = new Map<string, number>()
  const latencies: number[] = []
  const follower = await followEnds(bus, stop.signal)
  let published = 0
  const publish = async () => {
    if (published++ >= tasks) return
    const correlationid = randomUUIDv7()
    started.set(correlationid, performance.now())
    await bus.publish({ type, correlationid, data: { go: true } })
  }
  const begin = performance.now()
  for (let i = 0; i < Math.min(inFlight, tasks); i++) void publish()
  for await (const { event } of follower) {
    const since = started.get(event.correlationid)
    if (since === undefined) continue
    if (event.type === 'agent.task.failed') throw new TidingsError('E_PROGRAM_FAILED', JSON.stringify(event.data))
    started.delete(event.correlationid)
    latencies.push(performance.now() - since)
    if (latencies.length === tasks) break
    void publish()
  }
  stop.abort()
  const seconds = (performance.now() - begin) / 1_000
  latencies.sort((a, b) => a - b)
  const at = (q: number) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * q))]!
  return { tasks, seconds, perSecond: tasks / seconds, p50: at(0.5), p99: at(0.99) }
}

export interface OpenLoopResult {
  tasks: number
  failed: number
  seconds: number
  p99: number
}

/** Starts tasks at a fixed rate per second, whatever the answers do; a closed loop would hide queueing. */
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

/** How tasks end, from now on. */
const followEnds = async (bus: Bus, signal: AbortSignal) =>
  bus.follow(await bus.driver.head(), [{ types: ['agent.task.completed', 'agent.task.failed'] }], signal)
