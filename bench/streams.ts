import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { loadavg } from 'node:os'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { Bus } from '../src/bus/bus.ts'
import { startGateway } from '../src/gateway/gateway.ts'
import { openSqlite } from '../src/drivers/sqlite/index.ts'
import { mib, withHome } from './lib/host.ts'

/*
 * How many clients does one gateway serve, each on the stream of its own user? `bash -c 'ulimit -n 20000 && node bench/streams.ts [CLIENTS] [SECONDS]'`
 * connects as many by server-sent events as by WebSocket (CLIENTS each, default 3,000), from two other processes, and publishes 2,000 events/s in
 * total. Then 1,000 more clients, which never read, ask for everything. Prints the time from append to client, and the memory of the gateway.
 */

const perSecond = 2_000
const stuckClients = 1_000

type Command =
  | { readonly open: 'sse' | 'socket' | 'stuck'; readonly url: string; readonly count: number }
  | { readonly report: true }

interface Report {
  readonly latencies: readonly number[]
  readonly closed: number
}

if (process.send) serveCommands()
else await measure(Number(process.argv[2] ?? 3_000), Number(process.argv[3] ?? 30))

async function measure(count: number, seconds: number): Promise<void> {
  await withHome(async home => {
    const bus = new Bus(await openSqlite({ home }))
    const gateway = await startGateway({ bus, port: 0, maxStreams: 2 * count + stuckClients })
    const before = process.memoryUsage.rss()
    const clients = await Promise.all([
      startClients('sse', gateway.url, count),
      startClients('socket', gateway.url, count),
    ])
    console.log(
      `${2 * count} clients, load ${loadavg()[0]!.toFixed(1)}; the gateway has ${mib(process.memoryUsage.rss())} MiB`,
    )
    await run('own streams', bus, clients, { count, seconds, before })
    const stuck = await startClients('stuck', gateway.url, stuckClients)
    await run(`with ${stuckClients} that never read`, bus, clients, {
      count,
      seconds,
      before: process.memoryUsage.rss(),
    })
    for (const child of [...clients, stuck]) child.kill()
    await gateway.stop()
    await bus.close()
  })
}

async function startClients(open: 'sse' | 'socket' | 'stuck', url: string, count: number): Promise<ChildProcess> {
  const child = fork(import.meta.filename)
  child.send({ open, url, count } satisfies Command)
  await once(child, 'message')
  return child
}

interface Run {
  readonly count: number
  readonly seconds: number
  readonly before: number
}

async function run(title: string, bus: Bus, clients: readonly ChildProcess[], { count, seconds, before }: Run) {
  let peak = 0
  const used = process.cpuUsage()
  const delay = monitorEventLoopDelay({ resolution: 2 })
  delay.enable()
  const watch = setInterval(() => (peak = Math.max(peak, process.memoryUsage.rss())), 50)
  const start = performance.now()
  const batch = perSecond / 100
  let published = 0
  const open = new Set<Promise<unknown>>()
  while (performance.now() - start < seconds * 1_000) {
    const due = Math.floor(((performance.now() - start) / 1_000) * perSecond)
    for (; published + batch <= due; published += batch) {
      const drafts = Array.from({ length: batch }, (_, i) => ({
        type: 'count.made',
        user: `u${(published + i) % (2 * count)}`,
        data: { at: Date.now(), filler: 'x'.repeat(200) },
      }))
      const publishing = bus.publishAll(drafts).finally(() => open.delete(publishing))
      open.add(publishing)
    }
    await setTimeout(2)
  }
  await Promise.all(open)
  await setTimeout(2_000)
  clearInterval(watch)
  const rate = Math.round(published / seconds)
  const { user, system } = process.cpuUsage(used)
  const cpu = `${((user + system) / 1e6 / (seconds + 2)).toFixed(2)} cores, event loop p99 ${Math.round(delay.percentile(99) / 1e6)} ms`
  console.log(`\n${title}: ${published} events, ${rate}/s, ${cpu}, load ${loadavg()[0]!.toFixed(1)}`)
  for (const [i, name] of ['sse', 'socket'].entries()) {
    const { latencies, closed } = await reportOf(clients[i]!)
    const sorted = latencies.toSorted((a, b) => a - b)
    const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? NaN
    console.log(
      `  ${name}: ${sorted.length} received, ${closed} closed; ms p50 ${at(0.5)}, p95 ${at(0.95)}, p99 ${at(0.99)}`,
    )
  }
  console.log(`  memory: peak ${mib(peak)} MiB, ${mib(peak - before)} MiB more than before`)
}

async function reportOf(child: ChildProcess): Promise<Report> {
  child.send({ report: true } satisfies Command)
  const [report] = (await once(child, 'message')) as [Report]
  return report
}

/** A process of clients. Each is the user of its number; those by WebSocket come after those by server-sent events. */
function serveCommands(): void {
  let latencies: number[] = []
  let closed = 0
  const onClose = () => void closed++
  const take = (text: string) => {
    const now = Date.now()
    for (const [, at] of text.matchAll(/"at":(\d+)/g)) latencies.push(now - Number(at))
  }
  process.on('message', (command: Command) => void serve(command))
  async function serve(command: Command): Promise<void> {
    if ('report' in command) {
      process.send!({ latencies, closed } satisfies Report)
      latencies = []
      return
    }
    const { open, url, count } = command
    const { port } = new URL(url)
    for (let n = 0; n < count; n += 50)
      await Promise.all(
        Array.from({ length: Math.min(50, count - n) }, async (_, i) => {
          const user = n + i + (open === 'socket' ? count : 0)
          if (open === 'socket') {
            const socket = new WebSocket(`ws://127.0.0.1:${port}/events/socket?user=u${user}`)
            socket.on('message', data => take((data as Buffer).toString()))
            socket.on('close', onClose).on('error', onClose)
            await once(socket, 'open')
            return
          }
          const socket = connect(Number(port), '127.0.0.1')
          socket.on('close', onClose).on('error', onClose)
          const query = open === 'sse' ? `?user=u${user}` : ''
          socket.write(`GET /events/stream${query} HTTP/1.1\r\nhost: localhost\r\n\r\n`)
          await once(socket, open === 'sse' ? 'data' : 'readable')
          if (open === 'sse') socket.on('data', data => take(data.toString()))
        }),
      )
    process.send!('open')
  }
}
