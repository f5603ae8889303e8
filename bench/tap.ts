import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { Agent, createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Tap } from '../test/tap-trial/tap.ts'
import { circumstances, heading, median, row, stopChild, withHome } from './lib/host.ts'
import { natsOptions, withLog, withNats } from './lib/nats.ts'

/*
 * How much later is an answer that passes a tap? A client makes each call twice, directly and through the tap, in turn, so that both meet the
 * same machine. The calls are conversations of ten. Client, tap and provider are three processes.
 *
 *     node bench/tap.ts [CALLS] [--bus sqlite|nats|nats://HOST:PORT] [--sync always]
 */

const main = join(import.meta.dirname, '../src/cli/main.ts')
const turns = 10
const words = 'The tide at Kiel turns at noon, and the berth is free until four. '

interface Plan {
  readonly calls: number
  readonly inFlight: number
  /** How long the provider thinks. */
  readonly thinkMs: number
  readonly stream: boolean
}

/** Ms until the first byte of the body, and until its end. */
interface Timing {
  readonly first: number
  readonly whole: number
}

const plans: readonly Omit<Plan, 'calls'>[] = [
  { inFlight: 1, thinkMs: 0, stream: false },
  { inFlight: 1, thinkMs: 0, stream: true },
  { inFlight: 1, thinkMs: 20, stream: false },
  { inFlight: 1, thinkMs: 20, stream: true },
  { inFlight: 32, thinkMs: 300, stream: false },
  { inFlight: 32, thinkMs: 300, stream: true },
]

/** A provider in a process of its own: `node bench/tap.ts provider`. The header says how long it thinks. */
async function provide(): Promise<void> {
  const answer = words.repeat(6)
  const usage = { prompt_tokens: 900, completion_tokens: 90, total_tokens: 990 }
  const of = { id: 'chatcmpl-1', model: 'bench', created: 1 }
  const answerTo = async (request: IncomingMessage, response: ServerResponse, chunks: readonly Buffer[]) => {
    const { stream } = JSON.parse(Buffer.concat(chunks).toString()) as { stream: boolean }
    const thinkMs = Number(request.headers['x-think'])
    if (thinkMs > 0) await setTimeout(thinkMs)
    if (!stream) {
      const message = { role: 'assistant', content: answer }
      const body = JSON.stringify({ ...of, choices: [{ index: 0, message, finish_reason: 'stop' }], usage })
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length }).end(body)
      return
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    for (const content of answer.match(/.{20}/g)!) {
      const choices = [{ index: 0, delta: { content }, finish_reason: null }]
      response.write(`data: ${JSON.stringify({ ...of, choices })}\n\n`)
    }
    const last = { ...of, choices: [{ index: 0, delta: {}, finish_reason: 'stop' }], usage }
    response.end(`data: ${JSON.stringify(last)}\n\ndata: [DONE]\n\n`)
  }
  const server = createServer({ keepAliveTimeout: 600_000 }, (request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => void answerTo(request, response, chunks))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  process.send!((server.address() as AddressInfo).port)
  process.once('disconnect', () => process.exit())
}

const agent = new Agent({ keepAlive: true })

async function call(port: number, { thinkMs, stream }: Plan, messages: readonly object[]): Promise<Timing> {
  const body = JSON.stringify({ model: 'bench', messages, stream })
  const begin = performance.now()
  const headers = {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    authorization: 'Bearer k',
    'x-think': thinkMs,
  }
  const request = httpRequest({ host: '127.0.0.1', port, agent, method: 'POST', path: '/v1/chat/completions', headers })
  request.end(body)
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  let first = 0
  for await (const _ of response) first ||= performance.now() - begin
  if (response.statusCode !== 200) throw new Error(`the answer is ${response.statusCode}`)
  return { first, whole: performance.now() - begin }
}

/** The timings of all calls: directly, and through the tap. */
async function measure(ports: { readonly direct: number; readonly tapped: number }, plan: Plan) {
  const timings = { direct: [] as Timing[], tapped: [] as Timing[] }
  let conversation = 0
  const client = async () => {
    while (conversation * turns < plan.calls) {
      const own = ++conversation
      // Nobody begins in step with the others.
      if (plan.inFlight > 1) await setTimeout(Math.random() * plan.thinkMs)
      const messages: object[] = [{ role: 'system', content: words.repeat(10) }]
      for (let turn = 0; turn < turns; turn++) {
        messages.push({ role: 'user', content: `${process.hrtime.bigint()} ${own} ${turn} ${words}` })
        const ways = turn % 2 ? (['direct', 'tapped'] as const) : (['tapped', 'direct'] as const)
        for (const way of ways) timings[way].push(await call(ports[way], plan, messages))
        messages.push({ role: 'assistant', content: words.repeat(6) })
      }
    }
  }
  await Promise.all(Array.from({ length: plan.inFlight }, client))
  return timings
}

const percentile = (values: readonly number[], share: number) =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))]!

function report(
  bus: string,
  { inFlight, thinkMs, stream, calls }: Plan,
  { direct, tapped }: Record<'direct' | 'tapped', Timing[]>,
) {
  const show = (value: number) => value.toFixed(2)
  for (const what of stream ? (['first', 'whole'] as const) : (['whole'] as const)) {
    const [a, b] = [direct.map(each => each[what]), tapped.map(each => each[what])]
    row([
      bus, inFlight, thinkMs, stream ? `stream, ${what === 'first' ? 'first byte' : 'whole'}` : 'whole', calls,
      ...[a, b].flatMap(each => [show(median(each)), show(percentile(each, 0.99))]),
      show(median(b) - median(a)), show(percentile(b, 0.99) - percentile(a, 0.99)), (median(b) / median(a)).toFixed(2),
    ]) // biome-ignore format: one row
  }
}

async function benchmark(
  bus: string,
  env: { TIDINGS_HOME: string; TIDINGS_BUS: string },
  calls: number,
): Promise<void> {
  const provider: ChildProcess = fork(import.meta.filename, ['provider'])
  const [direct] = (await once(provider, 'message')) as [number]
  const upstream = `http://127.0.0.1:${direct}`
  const tap = await Tap.start(
    port => [main, 'tap', 'openai', '--upstream', upstream, '--port', String(port), '--name', 'bench'],
    env,
  )
  const ports = { direct, tapped: tap.port }
  try {
    for (const plan of plans) {
      await measure(ports, { ...plan, calls: 200 })
      const own = { ...plan, calls: plan.inFlight > 1 ? 2 * calls : calls }
      report(bus, own, await measure(ports, own))
    }
  } finally {
    await tap.end('SIGTERM')
    await stopChild(provider)
    agent.destroy()
  }
}

if (process.argv[2] === 'provider') await provide()
else {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { ...natsOptions, bus: { type: 'string' } },
  })
  const calls = Number(positionals[0] ?? 1_000)
  const load = loadavg()[0]!.toFixed(1)
  console.log(`${circumstances(1)}; load before: ${load}\n`)
  heading(['bus', 'in flight', 'thinks, ms', 'answer', 'calls', 'direct p50, ms', 'p99', 'tapped p50, ms', 'p99', 'added p50', 'added p99', 'ratio of p50']) // biome-ignore format: one row
  if (values.bus === undefined || values.bus === 'sqlite')
    await withHome(home => benchmark('sqlite', { TIDINGS_HOME: home, TIDINGS_BUS: 'sqlite' }, calls))
  if (values.bus !== 'sqlite')
    await withNats(values.bus ?? 'nats', values.sync, server =>
      withHome(home => withLog(server, bus => benchmark('nats', { TIDINGS_HOME: home, TIDINGS_BUS: bus }, calls))),
    )
}
