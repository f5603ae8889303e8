import { once } from 'node:events'
import { createTransport } from 'nodemailer'
import { expect, onTestFinished, test, vi } from 'vitest'
import { openBus } from '../src/runtime/environment.ts'
import { until } from '../src/testing/wait.ts'
import { buildTraceTree } from '../src/trace/build-tree.ts'
import { findCollector } from './telemetry/lib/build.ts'
import { startReceiver } from './telemetry/lib/collector.ts'
import { shapeOfSpans, shapeOfTrace } from './telemetry/lib/shape.ts'
import { launch, tidings } from './lib/cli.ts'
import { eventsOf, onAnyBus, typesOf, type World } from './lib/world.ts'
import app from './twelve/app.ts'

/* One mail, twelve agents, two processes: all of it hangs together by one id. */

// Where it cannot be had, test/telemetry says so.
const collector = 'path' in (await findCollector())

const path = `${import.meta.dirname}/twelve/app.ts`
const tasks = 16
const modelCalls = 15
const toolCalls = 6

/** A process with these roles, where it can be reached, and how it is asked to end. */
async function running(place: World['place'], roles: string) {
  const child = launch(place, ['run', path, '--only', roles, '--json'])
  onTestFinished(async () => {
    if (child.kill('SIGKILL')) await once(child, 'exit')
  })
  let printed = ''
  child.stdout.setEncoding('utf8').on('data', text => (printed += text))
  child.stderr.setEncoding('utf8').on('data', text => (printed += text))
  await until(() => printed.includes('"ready"'), { within: 60_000, what: `${roles} to run` })
  const { addresses } = JSON.parse(printed.split('\n')[0]!) as { addresses: string[] }
  const stop = async () => {
    child.kill('SIGTERM')
    await once(child, 'exit')
  }
  return { addresses, stop }
}

type Worker = Awaited<ReturnType<typeof running>>

async function send(smtp: string): Promise<void> {
  const transport = createTransport({ host: '127.0.0.1', port: Number(new URL(smtp).port), ignoreTLS: true })
  await transport.sendMail({
    from: 'ann@example.org',
    to: 'desk@example.net',
    subject: 'The island',
    text: 'What is there to see on the island?',
  })
  transport.close()
}

async function records<T>(place: World['place'], ...args: string[]): Promise<T[]> {
  const { code, stdout, stderr } = await tidings(place, [...args, '--json'])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return stdout
    .split('\n')
    .filter(Boolean)
    .map(line => JSON.parse(line) as T)
}

interface TraceRecord {
  kind: 'task' | 'call' | 'event' | 'total'
  id: string
  parent?: string
  program?: string
  type?: string
  status?: string
  events?: number
}

onAnyBus(world => {
  test('a mail through twelve agents and fifteen model calls is one tree, in the exported trace too, and replays turn for turn', {
    timeout: 150_000,
  }, async () => {
    vi.stubEnv('TIDINGS_PORT', '0')
    vi.stubEnv('TIDINGS_SMTP_PORT', '0')
    onTestFinished(() => void vi.unstubAllEnvs())
    const receiver = collector ? await startReceiver() : undefined
    if (receiver) vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', receiver.url)
    const { place } = await world()
    const workers = [running(place, 'agents,triggers,gateway'), running(place, 'tools,models')]
    const [front, back] = (await Promise.all(workers)) as [Worker, Worker]
    await send(front.addresses.find(address => address.startsWith('smtp:'))!)

    const bus = await openBus(place)
    onTestFinished(() => bus.driver.close())
    const mail = await until(async () => {
      for await (const { event } of bus.read({ filter: [{ types: ['email.received'] }] })) return event
      return undefined
    })
    const correlation = mail.correlationid
    const events = await until(
      async () => {
        const all = await eventsOf({ bus }, correlation)
        return all.filter(({ type }) => type === 'agent.task.completed').length === tasks && all
      },
      { within: 20_000 },
    )
    const types = typesOf(events)
    const count = (type: string) => types.filter(each => each === type).length
    expect([count('model.result'), count('tool.result'), count('tool.claimed')]).toEqual([modelCalls, toolCalls, 1])

    const traced = await records<TraceRecord>(place, 'trace', correlation)
    const units = traced.filter(({ kind }) => kind !== 'total')
    expect(units.filter(({ parent }) => parent === undefined).map(({ type }) => type)).toEqual(['email.received'])
    const ids = new Set(units.map(({ id }) => id))
    expect(units.filter(({ parent }) => parent !== undefined && !ids.has(parent))).toEqual([])
    const programs = new Set(units.map(({ program }) => program).filter(Boolean))
    expect(programs).toEqual(new Set(app.agents.map(({ name }) => name)))
    expect(programs.size).toBe(12)
    const calls = (type: string) => units.filter(unit => unit.kind === 'call' && unit.type === type)
    expect(calls('model.invoke')).toHaveLength(modelCalls)
    expect(calls('tool.invoke')).toHaveLength(toolCalls)
    const statuses = new Set(units.map(({ kind, status }) => (kind === 'event' ? undefined : `${kind} ${status}`)))
    expect(statuses).toEqual(new Set([undefined, 'call answered', 'task completed']))
    expect(traced.at(-1)).toMatchObject({ kind: 'total', events: events.length })

    const turns = events.filter(({ type }) => type === 'task.turn').length
    const replayed = await records(place, 'replay', '--correlation', correlation, '--app', path)
    expect(replayed).toEqual([
      { record: 'total', verdict: 'same', tasks, turns, diverged: 0, divergences: 0, skipped: 0 },
    ])

    await Promise.all([front.stop(), back.stop()])
    if (!receiver) return
    const spans = receiver.spans()
    expect(new Set(spans.map(({ traceId }) => traceId))).toEqual(new Set([correlation.replaceAll('-', '')]))
    expect(new Set(spans.map(({ pid }) => pid)).size).toBe(2)
    const whole = await Promise.all(events.map(event => bus.resolve(event)))
    expect(shapeOfSpans(spans)).toEqual(shapeOfTrace(buildTraceTree(whole)))
  })
})
