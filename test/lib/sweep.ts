import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { createTransport } from 'nodemailer'
import { expect, onTestFinished } from 'vitest'
import type { CloudEvent } from '../../src/event.ts'
import { openBus } from '../../src/runtime/environment.ts'
import { until } from '../../src/testing/wait.ts'
import { canaries, places, type Place } from './canaries.ts'
import { startBroker, type Broker } from './mqtt-broker.ts'

const root = join(import.meta.dirname, '../..')
const main = join(root, 'src/cli/main.ts')
const app = join(root, 'test/lib/canary-app.ts')
const of = (place: Place) => canaries[place].text

/** What may be seen, by name. */
export type Seen = Record<string, string>

/** One run of the app in canary-app.ts, all of whose doors are told their canaries. */
export class Sweep {
  readonly #place: { home: string; bus: string }
  readonly #isOn: boolean
  readonly #folder: string
  readonly #stream = new AbortController()
  readonly #events: CloudEvent[] = []
  readonly #seen: Record<'streams' | 'signals' | 'deltas' | 'answers' | 'output' | 'commands' | 'telemetry', string> = {
    streams: '', signals: '', deltas: '', answers: '', output: '', commands: '', telemetry: '',
  } // biome-ignore format: one list
  #env: NodeJS.ProcessEnv = {}
  #child: ChildProcess | undefined
  #http = ''

  constructor(home: string, bus: string, isOn: boolean) {
    this.#place = { home, bus }
    this.#isOn = isOn
    this.#folder = `${home}-drop`
  }

  async run(): Promise<Seen> {
    await mkdir(this.#folder)
    onTestFinished(() => rm(this.#folder, { recursive: true, force: true }))
    const [broker, collector] = [await startBroker(), await this.#collect()]
    this.#env = {
      ...process.env,
      TIDINGS_HOME: this.#place.home,
      TIDINGS_BUS: this.#place.bus,
      TIDINGS_PORT: '0',
      TIDINGS_SMTP_PORT: '0',
      TIDINGS_LOG_LEVEL: 'debug',
      OTEL_EXPORTER_OTLP_ENDPOINT: collector,
      OTEL_EXPORTER_OTLP_COMPRESSION: 'none',
      NO_COLOR: '1',
      CANARIES: JSON.stringify(Object.fromEntries(places.map(place => [place, of(place)]))),
      CANARIES_OFF: this.#isOn ? '' : '1',
      CANARIES_MQTT: `mqtt://127.0.0.1:${broker.port}`,
      CANARIES_FOLDER: this.#folder,
    }
    const { addresses, ended } = await this.#start()
    this.#http = addresses.find(address => /^http:.*\d$/.test(address))!
    const hooks = addresses.find(address => address.endsWith('/hooks'))!
    const listening = this.#listen()
    // A test that fails before ends the app under it.
    listening.catch(() => {})
    const bus = await openBus(this.#place)
    bus.onSignal([{ types: ['>'] }], event => {
      this.#seen.signals += JSON.stringify(event)
      if (event.type === 'model.delta') this.#seen.deltas += (event.data as { text: string }).text
    })
    const smtp = Number(new URL(addresses.find(address => address.startsWith('smtp:'))!).port)
    await Promise.all([this.#post(), this.#mail(smtp), this.#hook(hooks), this.#publish(broker), this.#drop()])
    await this.#command('trigger', 'test', 'tick', '--app', app)
    await this.#settled()
    await this.#answerApprovals()
    await this.#commands()
    await bus.driver.close()
    this.#stream.abort()
    await listening
    this.#seen.answers += await (await fetch(`${this.#http}/metrics`)).text()
    this.#child!.kill('SIGTERM')
    this.#seen.output = await ended
    return this.#seen
  }

  kill() {
    this.#child?.kill('SIGKILL')
  }

  /** A collector of spans and metrics, which keeps what it is sent. */
  async #collect(): Promise<string> {
    const server = createServer((incoming, outgoing) => {
      incoming.setEncoding('latin1').on('data', (chunk: string) => (this.#seen.telemetry += chunk))
      incoming.on('end', () => outgoing.writeHead(200, { 'content-type': 'application/x-protobuf' }).end())
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    onTestFinished(() => void server.close())
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  async #start(): Promise<{ addresses: string[]; ended: Promise<string> }> {
    const child = spawn(process.execPath, [main, 'run', app, '--json'], { env: this.#env, cwd: root, stdio: 'pipe' })
    this.#child = child
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (output += chunk))
    const errors = text(child.stderr)
    const ended = once(child, 'close').then(async () => output + (await errors))
    const ready = await Promise.race([
      until(() => output.split('\n').find(line => line.includes('"ready"')), { within: 60_000 }),
      ended.then(all => Promise.reject(new Error(`the app ended: ${all}`))),
    ])
    return { addresses: (JSON.parse(ready) as { addresses: string[] }).addresses, ended }
  }

  /** Everything that a client of the stream hears, from the beginning. */
  async #listen(): Promise<void> {
    const url = `${this.#http}/events/stream?after=0&type=%3E&type=task.turn`
    try {
      const { body } = await fetch(url, { signal: this.#stream.signal })
      let rest = ''
      for await (const chunk of body!.pipeThrough(new TextDecoderStream())) {
        this.#seen.streams += chunk
        const lines = (rest + chunk).split('\n')
        rest = lines.pop()!
        for (const line of lines)
          if (line.startsWith('data: ')) this.#events.push(JSON.parse(line.slice(6)) as CloudEvent)
      }
    } catch (error) {
      if (!this.#stream.signal.aborted) throw error
    }
  }

  /** Asks, and keeps the answer. Refusals are as they should be here: what they say is searched. */
  async #ask(url: string, body?: string | Buffer, headers: Record<string, string> = {}): Promise<number> {
    const type = { 'content-type': 'application/json' }
    const answer = await fetch(
      url,
      body === undefined ? {} : { method: 'POST', body, headers: { ...type, ...headers } },
    )
    this.#seen.answers += `${[...answer.headers].join('\n')}\n${await answer.text()}\n`
    return answer.status
  }

  async #post(): Promise<void> {
    const post = (...events: object[]) => this.#ask(`${this.#http}/events`, JSON.stringify(events))
    const wanted = ['talk', 'keep', 'throw', 'ask', 'pay', 'trouble', 'error', 'sleep'].map(name => ({
      type: `${name}.wanted`,
      data: name,
    }))
    expect(await post(...wanted, { type: 'talk.wanted', data: 'fail now' })).toBe(202)
    // Tasks that redaction lets fail.
    expect(await post({ type: 'name.wanted', data: null }, { type: 'target.wanted', data: null })).toBe(202)
    const flow = '01990000-0000-7000-8000-00000000f10a'
    const data = { note: of('flowData'), card: { number: of('flowCard') } }
    expect(await post({ type: 'flow.wanted', data, correlationid: flow })).toBe(202)
    expect(await post({ type: 'flow.went', data: null, correlationid: flow })).toBe(202)
    const task = '01990000-0000-7000-8000-000000000000.a1b2c3d4e5'
    const status = await post(
      { type: 'note.taken', data: { note: of('httpData'), [of('httpKey')]: 1, in: [{ deep: of('httpDeep') }] } },
      { type: 'note.taken', data: Buffer.from(of('httpBase64')).toString('base64') },
      { type: 'note.taken', data: null, subject: `of ${of('httpSubject')}` },
      { type: 'note.taken', data: null, subject: `${task}:${of('httpTaskSubject')}` },
      { type: 'note.taken', data: { note: `${'x'.repeat(9_000)} ${of('httpLarge')}` } },
      { type: 'note.taken', data: { card: { number: of('httpCard') }, list: [{ pin: of('httpPin') }] } },
      { type: 'note.taken', data: { by: `by ${of('httpStaff')}`, said: JSON.stringify({ pem: of('httpInText') }) } },
    )
    expect(status).toBe(202)
    await post({ type: `note.${of('httpType')}`, data: null })
    await post({ type: 'note.taken', id: of('httpId'), data: null })
    await post({ type: 'agent.invoke', target: of('httpTarget'), data: { input: null } })
    await post({ type: 'note.taken', data: null, [of('httpAttribute')]: 1 })
    await this.#ask(`${this.#http}/events`, '{"type":"note.taken","data":0}', {
      tracestate: of('httpTrace'),
      baggage: of('httpTrace'),
    })
    await this.#ask(
      `${this.#http}/approvals/${of('httpApproval')}`,
      JSON.stringify({ decision: 'grant', hash: '0', comment: of('httpComment') }),
    )
    await fetch(`${this.#http}/events/stream`, { headers: { 'last-event-id': of('httpLast') } }).then(
      async answer => (this.#seen.answers += await answer.text()),
    )
    await this.#ask(`${this.#http}/events`, `{"note": ${of('httpMalformed')}}`)
    await this.#ask(`${this.#http}/${of('httpMissing')}`)
    await this.#ask(`${this.#http}/events/stream?type=${of('httpStream')}`)
  }

  async #mail(port: number): Promise<void> {
    const mail = createTransport({ host: '127.0.0.1', port, ignoreTLS: true, name: of('mailHelo') })
    await mail.sendMail({
      from: { name: `Ann ${of('mailName')}`, address: 'ann@example.org' },
      to: `${of('mailTo')}@example.net`,
      subject: `${'long '.repeat(45)}${of('mailSubject')}`,
      headers: { 'x-note': `Grüße, ${of('mailHeader')}` },
      text: `${'Dear desk. '.repeat(1_000)}\n${of('mailText')}`,
      attachments: [{ filename: `of ${of('mailFilename')}`, content: `[default]\n${of('mailFile')}\n` }],
    })
    const entities = of('mailHtml').replace(/[a-z]/g, letter => `&#${letter.charCodeAt(0)};`)
    await mail.sendMail({
      from: 'ann@example.org',
      to: 'desk@example.net',
      subject: 'HTML',
      html: `<p>${entities}</p>`,
    })
    mail.close()
  }

  async #hook(hooks: string): Promise<void> {
    const hook = (body: string, headers: Record<string, string> = {}, to = 'open') =>
      this.#ask(`${hooks}/${to}`, body, headers)
    const escaped = JSON.stringify(of('hookEscaped')).replaceAll('/', '\\u002f')
    const statuses = [
      await hook(JSON.stringify({ note: of('hookData'), secret: of('hookSecret') }), { 'x-note': of('hookHeader') }),
      await hook(JSON.stringify({ type: 'order.hooked', card: { number: of('hookCard') } })),
      await hook(`{"note": ${escaped}}`, {}, `open?token=${of('hookQuery')}`),
      await hook(new URLSearchParams({ note: of('hookForm') }).toString(), {
        'content-type': 'application/x-www-form-urlencoded',
      }),
      await hook(`<note>${of('hookText')}</note>`, { 'content-type': 'text/xml' }, 'plain'),
    ]
    expect(statuses).toEqual([202, 202, 202, 202, 202])
    expect(await hook(JSON.stringify({ type: 'order.hooked', card: of('hookRefused') }))).toBe(422)
  }

  async #publish(broker: Broker): Promise<void> {
    const client = await broker.client()
    const bytes = Buffer.concat([Buffer.from([0xff, 0, 0xfe]), Buffer.from(` ${of('mqttBytes')} `)])
    await client.publishAsync('rooms/hall', JSON.stringify({ note: of('mqttPayload') }), { qos: 1 })
    await client.publishAsync('rooms/text', `see ${of('mqttText')}`, { qos: 1 })
    await client.publishAsync(`rooms/of ${of('mqttTopic')}`, 'null', { qos: 1, retain: true })
    await client.publishAsync('rooms/bytes', bytes, { qos: 1 })
    await client.publishAsync(`typed/${of('mqttRefused')}`, JSON.stringify({ celsius: of('mqttRefused') }), { qos: 1 })
  }

  async #drop(): Promise<void> {
    const drop = (name: string, content: string) => writeFile(join(this.#folder, name), content)
    await drop(`of ${of('fileName')}`, 'named')
    await drop('content.txt', of('fileContent'))
    await drop(`${of('fileOdd')} .odd`, 'too large')
    await drop(`${of('fileStaff')}.txt`, 'of the staff')
  }

  /** All that was said came to an end, or waits for a person. */
  async #settled(): Promise<void> {
    const count = (pattern: RegExp) => this.#events.filter(({ type }) => pattern.test(type)).length
    const expected: [RegExp, number][] = [
      // Without redaction one of them calls a tool that nobody hosts.
      [/^agent\.task\.(completed|failed)$/, this.#isOn ? 10 : 9],
      [/^email\.received$/, 2],
      [/^(webhook\.received|order\.hooked)$/, 5],
      [/^mqtt\.received$/, 4],
      [/^file\.created$/, 4],
      [/^clock\.ticked$/, 1],
      [/^approval\.requested$/, 2],
    ]
    const missing = () => expected.filter(([pattern, n]) => count(pattern) < n)
    await until(() => missing().length === 0, { within: 60_000 }).catch(() => {
      throw new Error(
        `did not come: ${missing()
          .map(([pattern, n]) => `${pattern} ${count(pattern)} of ${n}`)
          .join(', ')}`,
      )
    })
  }

  async #answerApprovals(): Promise<void> {
    const [asked] = this.#events.filter(({ type, target }) => type === 'approval.requested' && target === 'boss')
    await this.#command('deny', asked!.id, '--comment', `no, ${of('cliComment')}`)
    const started = this.#events.find(({ type }) => type === 'pay.wanted')!
    const turn = await until(() =>
      this.#events.find(
        ({ type, correlationid, data }) =>
          type === 'task.turn' &&
          correlationid === started.correlationid &&
          (data as { program: string }).program === 'paying',
      ),
    )
    await this.#command('attention', 'cancel', turn.id.split(':')[0]!, '--reason', `since ${of('cliReason')}`)
    await until(() => this.#events.some(({ type }) => type === 'agent.task.cancelled'))
  }

  async #commands(): Promise<void> {
    const publish = (...args: string[]) => this.#command('publish', ...args)
    await Promise.all([
      publish('note.taken', JSON.stringify({ note: of('cliData') })),
      publish('note.taken', '{}', '--id', of('cliId')),
      publish(`note.${of('cliType')}`),
      publish('note.taken', '{}', '--correlation', of('cliCorrelation')),
      publish('agent.invoke', '{"input":1}', '--target', of('cliTarget')),
      this.#command('pause', 'tool', of('cliPause')),
    ])
    if (!this.#isOn) return void (await this.#command('attention', '--json'))
    await until(async () => (await this.#command('attention', '--json')).includes('a bug with'), { within: 30_000 })
    const failed = this.#events.filter(({ type }) => /^agent\.task\.failed$/.test(type))
    const slice = join(this.#place.home, 'slice.jsonl')
    for (const commands of [
      [['attention'], ['trace'], ['trace', of('cliTrace')], ['trace', failed[0]!.correlationid]],
      [
        ['find', 'redacted'],
        ['find', of('cliFind')],
        ['why', failed[0]!.id],
        ['show', failed[0]!.id],
        ['export', '--all', '--app', app, slice],
      ],
    ])
      await Promise.all(commands.map(command => this.#command(...command)))
  }

  /** What a command prints, whatever its exit code is. */
  #command(...args: string[]): Promise<string> {
    return new Promise(resolve => {
      const options = { env: this.#env, cwd: root, maxBuffer: 64 * 1024 * 1024 }
      execFile(process.execPath, [main, ...args], options, (_, stdout, stderr) => {
        this.#seen.commands += stdout + stderr
        resolve(stdout + stderr)
      })
    })
  }
}
