import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createTransport } from 'nodemailer'
import { expect, onTestFinished, test } from 'vitest'
import { openBus } from '../../src/runtime/environment.ts'
import { freePort } from '../../src/testing/ports.ts'
import { until } from '../../src/testing/wait.ts'
import { arrange } from '../../src/trace/arrange.ts'
import { describeCollector, readPrometheus, startReceiver, type Receiver, type Seen } from './lib/collector.ts'
import { shapeOfSpans, shapeOfTrace } from './lib/shape.ts'

const cli = join(import.meta.dirname, '../../src/cli/main.ts')
const story = join(import.meta.dirname, 'lib/story.ts')

/** A log, and processes that work on it, each with the environment that it is given. */
async function house() {
  const home = await mkdtemp(join(tmpdir(), 'tidings-telemetry-'))
  const ports = { TIDINGS_PORT: String(await freePort()), TIDINGS_SMTP_PORT: String(await freePort()) }
  const children: ChildProcess[] = []
  onTestFinished(async () => {
    for (const child of children) child.kill('SIGKILL')
    await rm(home, { recursive: true, force: true })
  })
  return {
    home,
    gateway: `http://127.0.0.1:${ports.TIDINGS_PORT}`,
    smtpPort: Number(ports.TIDINGS_SMTP_PORT),
    /** A worker that serves; `stop` resolves with what it wrote to the standard error. */
    async worker(only: string, env: Record<string, string>) {
      const child = spawn(process.execPath, [cli, 'run', story, '--only', only, '--json'], {
        env: { ...process.env, TIDINGS_HOME: home, ...ports, ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      children.push(child)
      let [out, said] = ['', '']
      child.stdout.on('data', chunk => (out += chunk))
      child.stderr.on('data', chunk => (said += chunk))
      await until(() => out.includes('"ready"') || failing(child, said), { within: 20_000 })
      return {
        pid: child.pid!,
        log: () =>
          said
            .split('\n')
            .filter(line => line.startsWith('{'))
            .map(line => JSON.parse(line) as LogLine),
        async stop() {
          const gone = once(child, 'exit')
          child.kill('SIGTERM')
          await gone
        },
      }
    },
  }
}

type LogLine = { level: string; message: string; [field: string]: unknown }

function failing(child: ChildProcess, said: string): false {
  if (child.exitCode !== null) throw new Error(`the worker ended: ${said}`)
  return false
}

type House = Awaited<ReturnType<typeof house>>

async function mail({ smtpPort }: House, subject: string): Promise<void> {
  const transport = createTransport({ host: '127.0.0.1', port: smtpPort, ignoreTLS: true })
  await transport.sendMail({ from: 'ann@example.org', to: 'desk@example.org', subject, text: 'Please.' })
}

/** The trace of the only correlation, when as many tasks have ended. */
async function traced({ home }: House, tasks: number) {
  const bus = await openBus({ home, bus: 'sqlite' })
  try {
    return await until(
      async () => {
        const events = await Array.fromAsync(bus.read({}), stored => stored.event)
        const ends = events.filter(({ type }) => /^agent\.task\.(completed|failed)$/.test(type))
        if (ends.length < tasks) return undefined
        return {
          events,
          trace: arrange(await Promise.all(events.map(event => bus.resolve(event)))),
          correlation: ends[0]!.correlationid,
        }
      },
      { within: 20_000 },
    )
  } finally {
    await bus.driver.close()
  }
}

const exporting = ({ url }: Receiver) => ({ OTEL_EXPORTER_OTLP_ENDPOINT: url, TIDINGS_LOG_LEVEL: 'info' })
const named = (spans: readonly Seen[], name: string) => spans.filter(span => span.name === name)

describeCollector('with a collector', () => {
  test('a mail, four agents and two processes give one trace, of the shape that tidings trace shows', async () => {
    const receiver = await startReceiver()
    const at = await house()
    const front = await at.worker('agents,gateway,triggers', exporting(receiver))
    const back = await at.worker('tools,models', exporting(receiver))
    await mail(at, 'tea')
    const { events, trace, correlation } = await traced(at, 4)
    const metrics = readPrometheus(await (await fetch(`${at.gateway}/metrics`)).text())
    await Promise.all([front.stop(), back.stop()])
    const spans = receiver.spans()

    expect(new Set(spans.map(({ traceId }) => traceId))).toEqual(new Set([correlation.replaceAll('-', '')]))
    expect(spans.filter(({ parentSpanId }) => !parentSpanId).map(({ name }) => name)).toEqual(['receive mail'])
    expect(shapeOfSpans(spans)).toEqual(shapeOfTrace(trace))
    expect(new Set(spans.map(({ pid }) => pid))).toEqual(new Set([front.pid, back.pid]))
    expect(new Set(spans.map(({ service }) => service))).toEqual(new Set(['story']))

    const task = named(spans, 'invoke_agent researcher')[0]!
    expect(task.attributes).toMatchObject({
      'gen_ai.operation.name': 'invoke_agent',
      'gen_ai.agent.name': 'researcher',
      'tidings.correlation': correlation,
      'tidings.task.end': 'completed',
      'tidings.program.version': 1,
      'tidings.tenant': 'default',
    })
    const chat = named(spans, 'chat thinker')
    expect(chat).toHaveLength(6)
    expect(chat[0]!.attributes).toMatchObject({
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'bench',
      'gen_ai.request.model': 'thinker',
      'gen_ai.usage.input_tokens': 1,
      'gen_ai.usage.output_tokens': 1,
      'tidings.cost': 3,
    })
    const tries = named(spans, 'execute_tool search')
    expect(tries).toHaveLength(8)
    expect(tries.filter(({ status }) => status.code === 2)).toHaveLength(4)
    const delivery = named(spans, 'process tool.invoke').find(({ attributes }) => attributes['tidings.attempt'] === 2)!
    expect(delivery.attributes).toMatchObject({
      'messaging.system.name': 'sqlite',
      'messaging.operation.type': 'process',
      'messaging.consumer.group.name': 'tool/search',
      'tidings.outcome': 'done',
    })
    expect(delivery.attributes['tidings.queue_time']).toBeGreaterThanOrEqual(0)
    // A turn is linked to what its inputs answer.
    const ids = new Set(spans.map(({ spanId }) => spanId))
    const links = named(spans, 'decide researcher').flatMap(span => span.links ?? [])
    expect(links.length).toBeGreaterThan(0)
    expect(links.filter(({ spanId }) => !ids.has(spanId))).toEqual([])
    // Of what was said nothing is exported, least of all a secret.
    expect(receiver.text()).not.toContain('sk-ant-api03')
    expect(receiver.text()).not.toContain('Please.')

    const value = (name: string, labels: Record<string, string> = {}) =>
      (metrics.families[name]?.metric ?? [])
        .filter(metric =>
          Object.entries(labels).every(([key, wanted]) =>
            metric.label?.some(label => label.name === key && label.value === wanted),
          ),
        )
        .reduce(
          (sum, { counter, gauge, histogram }) =>
            sum + Number(counter?.value ?? gauge?.value ?? histogram?.sampleCount ?? 0),
          0,
        )
    expect(metrics.problems).toBeNull()
    expect(value('tidings_tasks_started_total', { program: 'researcher' })).toBe(2)
    expect(value('tidings_tasks_ended_total', { end: 'completed' })).toBe(4)
    expect(value('tidings_decide_duration_seconds')).toBe(events.filter(({ type }) => type === 'task.turn').length)
    expect(value('tidings_events_published_total', { type: 'email.received' })).toBe(1)
    expect(value('tidings_events_published_total', { type: 'tool.invoke' })).toBe(6)
    expect(value('tidings_group_lag', { group: 'app/story' })).toBe(0)
    expect(value('tidings_log_up')).toBe(1)
    expect(value('tidings_log_position')).toBeGreaterThan(0)

    // The other process has no gateway; it pushed.
    const point = (name: string, attributes: object) =>
      receiver
        .points()
        .find(
          each =>
            each.name === name && Object.entries(attributes).every(([key, wanted]) => each.attributes[key] === wanted),
        )?.value
    expect(point('tidings.deliveries', { group: 'tool/search', outcome: 'retry' })).toBe(4)
    expect(point('tidings.deliveries', { group: 'tool/search', outcome: 'done' })).toBe(4)
    expect(point('tidings.model.tokens', { model: 'thinker', direction: 'input' })).toBe(6)
    expect(point('tidings.model.tokens', { model: 'thinker', direction: 'output' })).toBe(6)
    expect(point('tidings.model.cost', { model: 'thinker' })).toBe(18)
    expect(point('tidings.tool.duration', { tool: 'search', error: 'E_TOOL_THREW' })).toBe(4)

    const retry = back.log().find(({ message }) => message === 'delivery will be retried')!
    expect(retry).toMatchObject({
      level: 'info',
      correlationid: correlation,
      type: 'tool.invoke',
      group: 'tool/search',
      trace_id: correlation.replaceAll('-', ''),
      reason: expect.stringContaining('busy'),
    })
    expect(events.map(({ id }) => id)).toContain(retry.event)
    expect(retry.event).toContain(String(retry.task))
    expect(ids.has(String(retry.span_id))).toBe(true)
    expect(JSON.stringify(back.log())).not.toContain('sk-ant-api03')
    expect(front.log().map(({ message }) => message)).toEqual(
      expect.arrayContaining(['worker started', 'worker stopped']),
    )
  })
})
