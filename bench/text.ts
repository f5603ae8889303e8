import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import type { LanguageModelV4, LanguageModelV4StreamPart } from '@ai-sdk/provider'
import { agent, app, connect, model, start, type TaskHandle } from '../src/index.ts'
import { circumstances, heading, row, stopChild, withHome } from './lib/host.ts'
import { natsOptions, withLog, withNats } from './lib/nats.ts'

/*
 * Does text in flight disturb the worker that produces it? One process runs many model calls at once, each streaming 50 tokens/s, while another
 * process reads none or all of the streams. Measured: the delay of the main thread of the worker, and what is written to the log meanwhile.
 *
 *     node bench/text.ts [CALLS] [SECONDS] [--bus sqlite|nats|nats://HOST:PORT]
 */

const tokenMs = 20

function streamingModel(seconds: number): LanguageModelV4 {
  const tokens = (seconds * 1_000) / tokenMs
  return {
    specificationVersion: 'v4',
    provider: 'bench',
    modelId: 'stream',
    supportedUrls: {},
    doGenerate: () => Promise.reject(new Error('only streams')),
    doStream: () => Promise.resolve({ stream: tokenStream(tokens) }),
  }
}

function tokenStream(tokens: number): ReadableStream<LanguageModelV4StreamPart> {
  let sent = 0
  return new ReadableStream({
    start(controller) {
      const timer = setInterval(() => {
        controller.enqueue({ type: 'text-delta', id: '0', delta: `token${sent} ` })
        if (++sent < tokens) return
        clearInterval(timer)
        const inputTokens = { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 }
        const outputTokens = { total: sent, text: sent, reasoning: 0 }
        const finishReason = { unified: 'stop', raw: undefined } as const
        controller.enqueue({ type: 'finish', usage: { inputTokens, outputTokens }, finishReason })
        controller.close()
      }, tokenMs)
    },
  })
}

async function countEvents(bus: Awaited<ReturnType<typeof connect>>['bus']): Promise<number> {
  let events = 0
  for await (const _ of bus.read({})) events++
  return events
}

/** p50, p99 and the longest, in ms. */
async function delaysDuring(work: Promise<unknown>): Promise<string> {
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  await work
  delay.disable()
  return [delay.percentile(50), delay.percentile(99), delay.max].map(each => (each / 1e6).toFixed(1)).join(', ')
}

async function measure(place: { home: string; bus: string }, { calls, seconds, readers }: Plan): Promise<void> {
  const languageModel = model(streamingModel(seconds), { limit: calls })
  const writer = agent('writer', { model: languageModel, instructions: 'Write.' })
  const running = await start(app({ name: 'bench', use: [writer] }), { ...place, only: ['agents', 'models'] })
  let signals = 0
  const idle = await delaysDuring(setTimeout(2_000))
  const reader = readers > 0 ? fork(import.meta.filename, ['read', place.home, place.bus]) : undefined
  if (reader) await once(reader, 'message')
  const handles = await Promise.all(Array.from({ length: calls }, () => running.ask(writer, 'Go on.')))
  reader?.send(handles.map(({ id }) => id))
  // All calls have begun, and all readers have joined.
  await setTimeout(2_500)
  const before = await countEvents(running.bus)
  const cpu = process.cpuUsage()
  const begin = performance.now()
  const unsubscribe = running.bus.onSignal([{ types: ['model.delta'] }], () => signals++)
  const delay = await delaysDuring(setTimeout((seconds - 4) * 1_000))
  unsubscribe()
  const elapsed = (performance.now() - begin) / 1_000
  const { user, system } = process.cpuUsage(cpu)
  const written = (await countEvents(running.bus)) - before
  const results = await Promise.all(handles.map(handle => handle.result()))
  const expected = Array.from({ length: (seconds * 1_000) / tokenMs }, (_, n) => `token${n} `).join('')
  if (results.some(result => result !== expected)) throw new Error('an answer is not what the model wrote')
  const read = reader ? await readBy(reader) : ''
  row([
    place.bus.split(':')[0],
    calls,
    readers,
    Math.round(signals / elapsed),
    idle,
    delay,
    `${Math.round((user + system) / elapsed / 1e4)} %`,
    written,
    read,
  ])
  await running.stop()
}

interface Report {
  live: number
  total: number
  restarts: number
}

interface Plan {
  readonly calls: number
  readonly seconds: number
  readonly readers: number
}

/** How long the reader waited for the pieces of its texts, from its point of view: those that it lacked when the answer came. */
async function readBy(reader: ChildProcess): Promise<string> {
  reader.send('report')
  const [report] = (await once(reader, 'message')) as [Report]
  await stopChild(reader)
  return `${((report.live / report.total) * 100).toFixed(1)} % live, ${report.restarts} restarts`
}

async function readTo(report: Report, handle: TaskHandle): Promise<void> {
  for await (const part of handle.stream()) {
    if (part.type === 'restart') report.restarts++
    if (part.type !== 'text') continue
    report.total += part.text.length
    if (part.attempt !== undefined) report.live += part.text.length
  }
}

/** The other process: reads the streams of these tasks. */
async function read(home: string, bus: string): Promise<void> {
  const tidings = await connect(bus, { home })
  const report: Report = { live: 0, total: 0, restarts: 0 }
  process.send!('ready')
  const [ids] = (await once(process, 'message')) as [string[]]
  const done = Promise.all(
    ids.map(async (id, n) => {
      // Each reads what is on the log first.
      await setTimeout(n * 5)
      await readTo(report, tidings.handle(id))
    }),
  )
  process.once('message', () => void done.then(() => process.send!(report)))
  process.once('disconnect', () => void tidings.close())
}

if (process.argv[2] === 'read') await read(process.argv[3]!, process.argv[4]!)
else {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { ...natsOptions, bus: { type: 'string', default: 'sqlite' } },
  })
  const [calls = 300, seconds = 13] = positionals.map(Number)
  console.log(`${circumstances(1)}; ${calls} calls of 50 tokens/s\n`)
  heading([
    'bus',
    'calls',
    'readers',
    'signals/s',
    'delay before, ms: p50, p99, max',
    'while streaming',
    'CPU',
    'events written',
    'read',
  ])
  for (const readers of [0, calls]) {
    const plan = { calls, seconds, readers }
    if (values.bus === 'sqlite') await withHome(home => measure({ home, bus: 'sqlite' }, plan))
    else
      await withNats(values.bus, values.sync, server =>
        withHome(home => withLog(server, bus => measure({ home, bus }, plan))),
      )
  }
}
