import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createTransport } from 'nodemailer'
import { expect, onTestFinished, test } from 'vitest'
import { Pauses } from '../../src/bus/pauses.ts'
import type { Bus } from '../../src/bus/bus.ts'
import type { CloudEvent } from '../../src/event.ts'
import { openBus } from '../../src/runtime/environment.ts'
import type { Role } from '../../src/runtime/start.ts'
import { until } from '../../src/testing/wait.ts'
import { describeNats, natsUrl } from '../../test/lib/nats.ts'
import { Library } from './library/library.ts'
import { answerAll, expectQuoted, writeSample } from './sample.ts'

/* The story with a process for each role, on NATS; they come and go, and the work goes on. */

const root = join(import.meta.dirname, '../..')
const patience = { within: 60_000 }

interface Place {
  readonly home: string
  readonly docs: string
  readonly bus: string
}

/** A folder with a small library in it, and a log of its own. */
async function place(): Promise<Place> {
  const home = mkdtempSync(join(tmpdir(), 'report-desk-roles-'))
  onTestFinished(() => rmSync(home, { recursive: true, force: true }))
  const docs = join(home, 'docs')
  writeSample(docs)
  const library = new Library(join(home, 'library.sqlite'))
  await library.refresh(docs)
  library.close()
  return { home, docs, bus: `${natsUrl()}/desk-${randomUUID()}` }
}

/** One process of the desk, that hosts one role. */
class Worker {
  readonly #child: ChildProcess
  readonly #ended: Promise<number | null>
  #output = ''

  constructor({ home, bus }: Place, role: Role) {
    const env = {
      ...process.env,
      TIDINGS_HOME: home,
      TIDINGS_BUS: bus,
      TIDINGS_PORT: '0',
      TIDINGS_SMTP_PORT: '0',
      TIDINGS_MODEL: 'offline',
    }
    const app = join(import.meta.dirname, 'app.ts')
    const args = [join(root, 'src/cli/main.ts'), 'run', app, '--only', role, '--json']
    this.#child = spawn(process.execPath, args, { env, cwd: root })
    for (const stream of [this.#child.stdout!, this.#child.stderr!])
      stream.setEncoding('utf8').on('data', chunk => (this.#output += chunk))
    this.#ended = once(this.#child, 'close').then(([code]) => code as number | null)
    onTestFinished(async () => void (await this.end('SIGKILL')))
  }

  static async start(where: Place, role: Role): Promise<Worker> {
    const worker = new Worker(where, role)
    await worker.address()
    return worker
  }

  /** Where it listens, if anywhere, once it is ready. */
  async address(): Promise<string> {
    const ready = () => this.#records.find(({ event }) => event === 'ready')
    const { addresses } = await until(ready, { ...patience, what: `a worker to be ready: ${this.#output}` })
    return addresses![0] ?? ''
  }

  end(signal: NodeJS.Signals): Promise<number | null> {
    this.#child.kill(signal)
    return this.#ended
  }

  /** Asks it to end, and expects that it does so in order. */
  async leave(): Promise<void> {
    expect(await this.end('SIGTERM'), this.#output).toBe(0)
    expect(this.#records.map(({ event }) => event)).toEqual(['ready', 'stopping', 'stopped'])
  }

  get #records() {
    const lines = this.#output.split('\n').slice(0, -1)
    return lines.map(line => JSON.parse(line) as { event: string; addresses?: string[] })
  }
}

async function post(gateway: string, question: string): Promise<string> {
  const answer = await fetch(`${gateway}/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ type: 'question.asked', data: { question } }),
  })
  expect(answer.status).toBe(202)
  return ((await answer.json()) as { correlationid: string }).correlationid
}

async function mail(address: string, question: string): Promise<void> {
  const transport = createTransport({ host: '127.0.0.1', port: Number(new URL(address).port), ignoreTLS: true })
  await transport.sendMail({ from: 'ann@example.org', to: 'desk@example.net', subject: 'question', text: question })
  transport.close()
}

/** All events of these types, in the order of the log. */
async function eventsOf(bus: Bus, ...types: string[]): Promise<CloudEvent[]> {
  const stored = await Array.fromAsync(bus.read({ filter: [{ types }] }))
  return Promise.all(stored.map(({ event }) => bus.resolve(event)))
}

const reportOf = (bus: Bus, correlation: string) =>
  until(
    async () => {
      const reports = await eventsOf(bus, 'report.completed')
      const report = reports.find(({ correlationid }) => correlationid === correlation)
      return (report?.data as { markdown: string } | undefined)?.markdown
    },
    { ...patience, what: `the report of ${correlation}` },
  )

describeNats('the desk in six processes', () => {
  test('answers by HTTP and by mail, and loses nothing while workers come and go', { timeout: 150_000 }, async () => {
    const where = await place()
    // All at once: what comes in before the agents are there waits for them.
    const roles = ['agents', 'agents', 'tools', 'models', 'gateway', 'triggers'] as const
    const workers = roles.map(role => new Worker(where, role))
    const [firstAgents, secondAgents, tools, , gateway, triggers] = workers as [
      Worker,
      Worker,
      Worker,
      Worker,
      Worker,
      Worker,
    ]
    const door = await gateway.address()
    const asked = [await post(door, 'How often does the lamp of the lighthouse turn?')]
    await mail(await triggers.address(), 'When do boats leave the harbour?')
    const bus = await openBus(where)
    onTestFinished(() => bus.driver.close())
    const ending = new AbortController()
    const answering = answerAll(bus, ending.signal)
    const [mailed] = await until(() => eventsOf(bus, 'email.received'))
    asked.push(mailed!.correlationid)
    expect(await reportOf(bus, asked[0]!)).toContain('The lamp of the lighthouse turns once in thirty seconds.')
    expect(await reportOf(bus, asked[1]!)).toContain('Boats leave the harbour with the tide at noon.')

    // Eight more stand in the middle, each with a search that nobody has answered: as good as surely some with either.
    const pauses = new Pauses(bus)
    await pauses.set('tool', 'library.search', true)
    const questions = [
      'What does the keeper do in fog?',
      'How often does the keeper sound the horn of the lighthouse?',
      'What does the lamp of the lighthouse burn?',
      'When do boats leave the harbour?',
    ]
    const more = await Promise.all([...questions, ...questions].map(question => post(door, question)))
    await until(async () => {
      const kept = await Array.fromAsync(bus.driver.listDeferred())
      return more.every(id => kept.some(({ state, event }) => state === 'parked' && event.correlationid === id))
    }, patience)
    await firstAgents.end('SIGKILL')
    await Worker.start(where, 'tools')
    await tools.leave()
    const searched = (await eventsOf(bus, 'tool.result')).length
    await pauses.set('tool', 'library.search', false)

    // Another one dies while it works; the tools that answer now are those that came.
    const thirdAgents = await Worker.start(where, 'agents')
    await until(async () => (await eventsOf(bus, 'tool.result')).length > searched, patience)
    await secondAgents.end('SIGKILL')

    for (const id of [...asked, ...more]) expectQuoted(await reportOf(bus, id), where.docs)
    const reports = (await eventsOf(bus, 'report.completed')).map(({ correlationid }) => correlationid)
    expect(reports.toSorted()).toEqual([...asked, ...more].toSorted())
    expect(await Array.fromAsync(bus.driver.listDeferred())).toEqual([])
    ending.abort()
    expect(await answering).toHaveLength(asked.length + more.length)
    for (const worker of [thirdAgents, gateway, triggers]) await worker.leave()
  })
})
