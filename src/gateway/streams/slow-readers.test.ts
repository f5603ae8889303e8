import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { expect, onTestFinished, test } from 'vitest'
import { Bus, type PublishedEvent } from '../../bus/bus.ts'
import { setLogger } from '../../bus/telemetry/log.ts'
import { openSqlite } from '../../drivers/sqlite/index.ts'
import { until } from '../../testing/wait.ts'
import { startGateway, type GatewayOptions } from '../gateway.ts'

/* Clients that open a stream and do not read it. */

const megabyte = 1024 * 1024
const large = 'x'.repeat(4 * megabyte - 100)
const upTo = (count: number) => Array.from({ length: count }, (_, n) => n)

async function open(options: Partial<GatewayOptions> = {}) {
  const home = await mkdtemp(join(tmpdir(), 'tidings-slow-readers-'))
  const bus = new Bus(await openSqlite({ home }))
  const gateway = await startGateway({ bus, port: 0, ...options })
  const { url } = gateway
  const disconnected: object[] = []
  setLogger({ warn: (fields, text) => void (text.includes('disconnected a client') && disconnected.push(fields)) })
  onTestFinished(async () => {
    setLogger({})
    await gateway.stop()
    await bus.driver.close()
    await rm(home, { recursive: true })
  })
  /** Resolves when the stream has begun, and reads no further. */
  const openUnread = async (query: string): Promise<Socket> => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    onTestFinished(() => void socket.destroy())
    socket.on('error', () => {})
    socket.write(`GET /events/stream${query} HTTP/1.1\r\nhost: localhost\r\n\r\n`)
    await once(socket, 'readable')
    return socket
  }
  return { bus, url, disconnected, openUnread }
}

/** How much the memory of the process grows at most while `work` runs, in bytes. */
async function growthOf(work: () => Promise<void>): Promise<number> {
  const before = process.memoryUsage.rss()
  let peak = before
  const timer = setInterval(() => (peak = Math.max(peak, process.memoryUsage.rss())), 5)
  const delay = monitorEventLoopDelay({ resolution: 5 })
  delay.enable()
  await work()
  clearInterval(timer)
  const grown = Math.max(peak, process.memoryUsage.rss()) - before
  console.info(`grew by ${Math.round(grown / megabyte)} MiB; event loop held ${Math.round(delay.max / 1e6)} ms at most`)
  return grown
}

/** The offsets that a client that reads receives. */
async function offsetsFrom(url: string, query: string, count: number): Promise<number[]> {
  const over = new AbortController()
  const response = await fetch(`${url}/events/stream${query}`, { signal: over.signal })
  const found: number[] = []
  let line = ''
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    const lines = (line + chunk).split('\n')
    line = lines.pop()!.slice(0, 100)
    // The id at the beginning of the stream is the one without an event.
    for (const [i, each] of lines.entries())
      if (each.startsWith('id: ') && !lines[i - 1]?.startsWith('retry: ')) found.push(Number(each.slice(4)))
    if (found.length === count) break
  }
  over.abort()
  return found
}

test('400 slow readers of one large event share its memory, and other clients are served', {
  timeout: 60_000,
}, async () => {
  const { bus, url, disconnected, openUnread } = await open({ stallTimeoutMs: 600_000 })
  const { correlationid, position } = await bus.publish({ type: 'report.made', data: large })
  const grown = await growthOf(async () => {
    const sockets = await Promise.all(
      upTo(400).map(n => openUnread(n % 2 ? `?correlation=${correlationid}` : '?type=report.*')),
    )
    await bus.publish({ type: 'report.made', data: large })
    expect(await offsetsFrom(url, `?after=${position.offset - 1}`, 2)).toEqual([position.offset, position.offset + 1])
    expect(sockets).toHaveLength(400)
    expect(disconnected).toEqual([])
  })
  expect(grown).toBeLessThan(400 * megabyte)
})

test('beyond the limit the slowest clients are disconnected with a log message, and can resume', {
  timeout: 60_000,
}, async () => {
  const { bus, url, disconnected, openUnread } = await open({ maxStreamBytes: 16 * megabyte, stallTimeoutMs: 600_000 })
  const published: PublishedEvent[] = []
  for (const n of upTo(24)) published.push(await bus.publish({ type: 'report.made', data: `${n}${large}` }))
  const grown = await growthOf(async () => {
    await Promise.all(published.map(({ correlationid }) => openUnread(`?correlation=${correlationid}`)))
    await until(() => disconnected.length >= 16, { within: 30_000 })
  })
  expect(grown).toBeLessThan(400 * megabyte)
  expect(disconnected[0]).toMatchObject({
    reason: expect.stringContaining('do not read'),
    cursor: expect.any(String),
  })
  const offsets = published.map(({ position }) => position.offset)
  expect(await offsetsFrom(url, '?after=0', 24)).toEqual(offsets)
})

test('a client that reads nothing is disconnected, even without new events', async () => {
  const { bus, disconnected, openUnread } = await open({ stallTimeoutMs: 300 })
  const { correlationid } = await bus.publish({ type: 'report.made', data: large })
  const socket = await openUnread(`?correlation=${correlationid}`)
  await until(() => disconnected.length === 1, { within: 15_000 })
  expect(disconnected[0]).toMatchObject({ reason: 'it read nothing for 300 ms' })
  const closed = once(socket, 'close')
  socket.resume()
  await closed
})

test('more streams than the limit are rejected, with what to do', async () => {
  const { url, openUnread } = await open({ maxStreams: 3 })
  const [first] = await Promise.all(upTo(3).map(() => openUnread('')))
  const refused = async () => fetch(`${url}/events/stream`)
  const answer = await refused()
  // The body of a stream would never end, so the status comes first.
  expect(answer).toMatchObject({ status: 503 })
  expect([answer.headers.get('retry-after'), await answer.json()]).toMatchObject([
    '1',
    { error: { code: 'E_BUSY', message: expect.stringContaining('3 streams are open'), retryable: true } },
  ])
  first!.destroy()
  const again = await until(async () => {
    const response = await refused()
    return response.status === 200 && response
  })
  await again.body!.cancel()
  expect((await fetch(`${url}/health`)).status).toBe(200)
})
