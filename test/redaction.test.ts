import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { createTransport } from 'nodemailer'
import { describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { agent } from '../src/agents/agent.ts'
import type { CloudEvent } from '../src/event.ts'
import { Replay } from '../src/replay/replay.ts'
import { app } from '../src/runtime/app.ts'
import type { Turn } from '../src/tasks/program.ts'
import { Programs } from '../src/tasks/programs.ts'
import { digest } from '../src/tasks/turn.ts'
import { tool } from '../src/tools/tool.ts'
import { openBus } from '../src/runtime/environment.ts'
import { startNats } from '../src/testing/nats/start.ts'
import { until } from '../src/testing/wait.ts'
import { describeNatsServer } from './lib/nats.ts'
import { planted, type Planted } from './lib/secrets.ts'
import { ended, eventsOf, onEveryBus } from './lib/world.ts'

/*
 * An app that says secrets in every way there is, in processes of its own: none of them may be found anywhere. The same with
 * redaction switched off shows that they would have been found.
 */

const root = join(import.meta.dirname, '..')
const main = join(root, 'src/cli/main.ts')
const leaky = join(root, 'test/lib/leaky-app.ts')

/** Where each secret is said, and what it is. */
const kinds = {
  output: 'github-token', progress: 'slack-token', error: 'url-password', said: 'anthropic-key', arguments: 'npm-token',
  instructions: 'stripe-key', description: 'gitlab-token', state: 'private-key', made: 'openai-key', key: 'vault-token',
  field: 'huggingface-token', subject: 'google-key', reason: 'aws-key-id', http: 'jwt', large: 'private-key', cli: 'bearer-token',
  mailText: 'basic-credentials', mailSubject: 'github-token', attachment: 'aws-secret-key',
} as const // biome-ignore format: one list

type Place = keyof typeof kinds
const places = Object.keys(kinds) as Place[]
const secrets = Object.fromEntries(
  places.map((place, seed) => [place, fc.sample(planted[kinds[place]]!, { numRuns: 1, seed })[0]!]),
) as unknown as Record<Place, Planted>
const declared = { card: '4111111111111111', pin: '834921', staff: 'E493021' }

/** What may be seen of it all: by name, a text that holds everything. */
type Seen = Record<'disk' | 'stream' | 'signals' | 'deltas' | 'output' | 'trace' | 'attention', string>

class Leaking {
  readonly #place: { home: string; bus: string }
  readonly #env: NodeJS.ProcessEnv
  #child: ChildProcess | undefined
  #output: Promise<string> | undefined
  readonly #stream = new AbortController()
  readonly #events: CloudEvent[] = []
  readonly #signals: CloudEvent[] = []
  #streamed = ''

  constructor(home: string, bus: string, isOn: boolean) {
    this.#place = { home, bus }
    this.#env = {
      ...process.env,
      TIDINGS_HOME: home,
      TIDINGS_BUS: bus,
      TIDINGS_PORT: '0',
      TIDINGS_SMTP_PORT: '0',
      NO_COLOR: '1',
      LEAKY_SECRETS: JSON.stringify(Object.fromEntries(places.map(place => [place, secrets[place].text]))),
      LEAKY_DEFAULTS: isOn ? '1' : '',
    }
  }

  async run(): Promise<Omit<Seen, 'disk'>> {
    const addresses = await this.#start()
    const http = addresses.find(address => address.startsWith('http:'))!
    const listening = this.#listen(http)
    const bus = await openBus(this.#place)
    bus.onSignal([{ types: ['>'] }], event => this.#signals.push(event))
    await this.#say(http, Number(new URL(addresses.find(address => address.startsWith('smtp:'))!).port))
    const attention = await until(
      async () => {
        const list = await this.#tidings('attention')
        return list.includes('a bug with') && list
      },
      { within: 60_000 },
    )
    const isEnded = () => this.#events.filter(({ type }) => /^agent\.task\.(completed|failed)$/.test(type)).length === 4
    await until(isEnded, { within: 60_000, what: 'four tasks end' })
    const correlations = [...new Set(this.#events.map(({ correlationid }) => correlationid))]
    const trace = (await Promise.all(correlations.map(each => this.#tidings('trace', each)))).join('\n')
    await bus.driver.close()
    this.#stream.abort()
    await listening
    this.#child!.kill('SIGTERM')
    const output = await this.#output!
    const signals = this.#signals.map(event => JSON.stringify(event)).join('\n')
    return { stream: this.#streamed, signals, deltas: this.#deltas(), output, trace, attention }
  }

  kill() {
    this.#child?.kill('SIGKILL')
  }

  async #start(): Promise<string[]> {
    const child = spawn(process.execPath, [main, 'run', leaky, '--json'], { env: this.#env, cwd: root, stdio: 'pipe' })
    this.#child = child
    const lines: string[] = []
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => lines.push(chunk))
    const errors = text(child.stderr)
    this.#output = once(child, 'close').then(async () => lines.join('') + (await errors))
    const ready = await until(
      () =>
        lines
          .join('')
          .split('\n')
          .find(line => line.includes('"ready"')),
      { within: 60_000 },
    )
    return (JSON.parse(ready) as { addresses: string[] }).addresses
  }

  /** Everything that a client of the stream hears, from the beginning. */
  async #listen(http: string): Promise<void> {
    const url = `${http}/events/stream?after=0&type=%3E&type=task.turn`
    try {
      const { body } = await fetch(url, { signal: this.#stream.signal })
      let rest = ''
      for await (const chunk of body!.pipeThrough(new TextDecoderStream())) {
        this.#streamed += chunk
        const lines = (rest + chunk).split('\n')
        rest = lines.pop()!
        for (const line of lines)
          if (line.startsWith('data: ')) this.#events.push(JSON.parse(line.slice(6)) as CloudEvent)
      }
    } catch (error) {
      if (!this.#stream.signal.aborted) throw error
    }
  }

  async #say(http: string, smtpPort: number): Promise<void> {
    const post = async (events: object[]) => {
      const body = JSON.stringify(events)
      const answer = await fetch(`${http}/events`, {
        method: 'POST',
        body,
        headers: { 'content-type': 'application/json' },
      })
      expect(answer.status).toBe(202)
    }
    const { card, pin, staff } = declared
    await post([
      { type: 'talk.wanted', data: 'talk' },
      { type: 'keep.wanted', data: null },
      { type: 'error.wanted', data: null },
      { type: 'trouble.wanted', data: null },
      { type: 'order.paid', data: { card: { number: card }, deep: [{ pin }], by: `paid by ${staff}` } },
      { type: 'order.noted', subject: `of ${secrets.http.text}`, data: { note: secrets.http.text } },
      { type: 'order.filed', data: { note: `${'x'.repeat(9_000)} ${secrets.large.text}` } },
    ])
    await this.#tidings('publish', 'note.taken', JSON.stringify({ note: secrets.cli.text }))
    const mail = createTransport({ host: '127.0.0.1', port: smtpPort, ignoreTLS: true })
    await mail.sendMail({
      from: 'ann@example.org',
      to: 'desk@example.net',
      subject: `${'long '.repeat(45)}${secrets.mailSubject.text}`,
      text: `${'Dear desk. '.repeat(1_000)}\n${secrets.mailText.text}`,
      html: `<p>${secrets.mailText.text}</p>`,
      attachments: [{ filename: 'credentials', content: `[default]\n${secrets.attachment.text}\n` }],
    })
    mail.close()
  }

  async #tidings(...args: string[]): Promise<string> {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [main, ...args, '--json'], {
      env: this.#env,
      cwd: root,
      maxBuffer: 64 * 1024 * 1024,
    })
    return stdout + stderr
  }

  /** What the pieces say together. */
  #deltas(): string {
    return this.#signals
      .filter(({ type }) => type === 'model.delta')
      .map(({ data }) => (data as { text: string }).text)
      .join('')
  }
}

async function everyFile(folder: string): Promise<string> {
  const files = (await readdir(folder, { recursive: true, withFileTypes: true })).filter(file => file.isFile())
  return (await Promise.all(files.map(file => readFile(join(file.parentPath, file.name), 'latin1')))).join('\n')
}

async function temporary(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tidings-redaction-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

async function onSqlite(isOn: boolean): Promise<Seen> {
  const home = await temporary()
  const app = new Leaking(home, 'sqlite', isOn)
  onTestFinished(() => app.kill())
  const seen = await app.run()
  return { ...seen, disk: await everyFile(home) }
}

async function onNats(isOn: boolean): Promise<Seen> {
  const [home, dataDir] = [await temporary(), await temporary()]
  const nats = await startNats({ dataDir })
  onTestFinished(() => nats.stop())
  const app = new Leaking(home, `${nats.url}/leaky`, isOn)
  onTestFinished(() => app.kill())
  const seen = await app.run()
  await nats.stop()
  return { ...seen, disk: (await everyFile(home)) + (await everyFile(dataDir)) }
}

/** Of all that was said, what stands where in clear. */
function found(seen: Seen): string[] {
  const wanted: [string, readonly string[]][] = [
    ...places.map(place => [place, secrets[place].clear] as [string, readonly string[]]),
    ...Object.entries(declared).map(([name, clear]) => [name, [clear]] as [string, readonly string[]]),
  ]
  return Object.entries(seen).flatMap(([where, all]) =>
    wanted.filter(([, clear]) => clear.some(part => all.includes(part))).map(([name]) => `${where}: ${name}`),
  )
}

function suite(run: (isOn: boolean) => Promise<Seen>) {
  test('no secret is found on disk, in the stream, in traces, on the attention list or in what processes print', async () => {
    const [on, off] = await Promise.all([run(true), run(false)])
    expect(found(on)).toEqual([])
    expect(on.deltas).toBe('The vault says: [redacted anthropic-key] and no more.')

    const clear = found(off)
    // By the command line, which knows of no app, what is known by its shape is redacted in any case.
    const written = [...places, ...Object.keys(declared)].filter(name => name !== 'cli' && name !== 'progress')
    expect(written.filter(name => !clear.includes(`disk: ${name}`))).toEqual([])
    const seen = ['stream: output', 'signals: progress', 'deltas: said', 'attention: reason', 'trace: error']
    expect(seen.filter(name => !clear.includes(name))).toEqual([])
  }, 180_000)
}

describe('on sqlite', () => suite(onSqlite))
describeNatsServer('on nats', () => suite(onNats))

const token = secrets.mailSubject.text

/** Has a secret in its code, keeps it in its state, says it, and waits. */
const forgetful = agent('forgetful', {
  on: 'go',
  init: () => ({ key: token, seen: [] as unknown[] }),
  evolve: (state, event) => ({ ...state, seen: [...state.seen, event.data] }),
  decide(state, inputs, ctx) {
    if (inputs[0]!.type === 'go')
      ctx.call({ type: 'tool.invoke', target: 'echo', data: { input: `it is ${state.key}` } })
    else ctx.complete(state)
  },
})

onEveryBus(world => {
  test('what a program emits is digested and folded as it lies on the log, by whoever goes on and in a replay', async () => {
    const log = await world()
    const first = await log.worker({ use: [forgetful] })
    const { correlationid, id } = await first.bus.publish({ type: 'go', data: null })
    await until(async () => (await eventsOf(first, correlationid)).some(({ type }) => type === 'tool.invoke'))
    await first.stop()
    const echo = tool('echo', { description: '', input: z.any(), run: input => input })
    const second = await log.worker({ use: [forgetful, echo] })
    const said = '[redacted github-token]'
    const output = { key: said, seen: [null, { input: `it is ${said}` }, { output: `it is ${said}` }] }
    expect(await ended(second, correlationid, id)).toMatchObject({ data: { output } })

    const events = await eventsOf(second, correlationid)
    const turns = events.filter(({ type }) => type === 'task.turn').map(({ data }) => data as Turn)
    expect(turns[0]!.state).toEqual({ key: said, seen: output.seen.slice(0, 2) })
    for (const { id: emitted, hash } of turns.flatMap(({ emits }) => emits))
      expect(hash).toBe(digest(events.find(each => each.id === emitted)!.data))

    const replay = new Replay(new Programs(app({ use: [forgetful] }).agents.map(({ definition }) => definition)))
    for (const [position, event] of events.entries()) await replay.add(position, event)
    expect(replay.finish()).toMatchObject({ turns: 2, diverged: 0, skipped: [] })
  })

  test('an id or a name that holds a secret is refused, and the text does not say it', async () => {
    const { bus } = await (await world()).worker({ use: [forgetful] })
    for (const name of ['id', 'target', 'user']) {
      const refused = bus.publish({ type: 'note.taken', data: null, [name]: `x ${token}` })
      await expect(refused).rejects.toMatchObject({
        code: 'E_EVENT_INVALID',
        message: `attribute "${name}" holds a secret`,
      })
    }
  })
})
