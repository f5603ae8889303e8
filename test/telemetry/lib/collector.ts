import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { freePort } from '../../../src/testing/ports.ts'
import { until } from '../../../src/testing/wait.ts'
import { describeUnless } from '../../lib/needing.ts'
import { findCollector } from './build.ts'

const found = await findCollector()

/** Tests with a collector that is not ours. `node scripts/brokers.ts` builds it; where it is required, its lack fails. */
export const describeCollector = (name: string, body: () => void) =>
  describeUnless('path' in found ? undefined : found.reason, name, body)

/** A span as the collector writes it (OTLP in JSON), with the name of its service. */
export interface Seen {
  traceId: string
  spanId: string
  parentSpanId?: string
  name: string
  kind: number
  startTimeUnixNano: string
  endTimeUnixNano: string
  status: { code?: number; message?: string }
  links?: { spanId: string }[]
  attributes: Record<string, unknown>
  service: string
  pid: number
}

export interface SeenPoint {
  name: string
  attributes: Record<string, unknown>
  value: number
}

export interface Receiver {
  /** For OTEL_EXPORTER_OTLP_ENDPOINT. */
  readonly url: string
  spans(): Seen[]
  /** The newest of each series: its value, of a histogram the number of values. */
  points(): SeenPoint[]
  /** All that it was sent, as it wrote it down. */
  text(): string
}

/** Starts a collector; it is gone after the test. */
export async function startReceiver(): Promise<Receiver> {
  if (!('path' in found)) throw new Error(found.reason)
  const folder = await mkdtemp(join(tmpdir(), 'tidings-collector-'))
  const port = await freePort()
  const [config, out] = [join(folder, 'config.json'), join(folder, 'out.jsonl')]
  await writeFile(config, JSON.stringify(configOf(port, out)))
  const child = spawn(found.path, [`--config=${config}`], { stdio: ['ignore', 'ignore', 'pipe'] })
  let printed = ''
  child.stderr.on('data', chunk => (printed += chunk))
  onTestFinished(async () => {
    const gone = child.exitCode === null ? once(child, 'exit') : undefined
    child.kill('SIGKILL')
    await gone
    await rm(folder, { recursive: true, force: true })
  })
  await until(() => printed.includes('Everything is ready') || failing(child.exitCode, printed), { within: 15_000 })
  const text = () => (existsSync(out) ? readFileSync(out, 'utf8') : '')
  const records = () =>
    text()
      .split('\n')
      .filter(Boolean)
      .map(line => JSON.parse(line) as Record<string, Json[]>)
  return {
    url: `http://127.0.0.1:${port}`,
    text,
    spans: () => records().flatMap(record => (record.resourceSpans ?? []).flatMap(spansOf)),
    points: () => [
      ...new Map(
        records()
          .flatMap(record => (record.resourceMetrics ?? []).flatMap(pointsOf))
          .map(point => [JSON.stringify([point.name, point.attributes]), point]),
      ).values(),
    ],
  }
}

/** What Prometheus' own parser reads, and what its linter says. */
export function readPrometheus(text: string): { families: Record<string, Family>; problems: unknown[] | null } {
  if (!('path' in found)) throw new Error(found.reason)
  const { stdout, stderr, status } = spawnSync(found.path, ['metrics'], { input: text, encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
  return JSON.parse(stdout)
}

interface Family {
  help: string
  metric?: {
    label?: { name: string; value: string }[]
    counter?: { value?: number }
    gauge?: { value?: number }
    histogram?: { sampleCount?: string; sampleSum?: number; bucket?: { cumulativeCount?: string }[] }
  }[]
}

/** The values of the series that have these labels, added up; of a histogram how many values it holds. */
export function total(family: Family | undefined, labels: Record<string, string>): number {
  const having = (family?.metric ?? []).filter(({ label = [] }) =>
    Object.entries(labels).every(([name, value]) => label.some(each => each.name === name && each.value === value)),
  )
  return having.reduce(
    (sum, { counter, gauge, histogram }) => sum + Number(counter?.value ?? gauge?.value ?? histogram?.sampleCount ?? 0),
    0,
  )
}

function failing(code: number | null, said: string): false {
  if (code !== null) throw new Error(`the collector ended: ${said}`)
  return false
}

const configOf = (port: number, path: string) => ({
  receivers: { otlp: { protocols: { http: { endpoint: `127.0.0.1:${port}` } } } },
  exporters: { file: { path, flush_interval: '20ms' } },
  service: {
    telemetry: { metrics: { level: 'none' } },
    pipelines: { traces: part(), metrics: part() },
  },
})

const part = () => ({ receivers: ['otlp'], exporters: ['file'] })

// biome-ignore lint/suspicious/noExplicitAny: OTLP, as the collector writes it
type Json = any

function spansOf({ resource, scopeSpans }: Json): Seen[] {
  const about = attributesOf(resource.attributes)
  return scopeSpans.flatMap(({ spans }: Json) =>
    spans.map((span: Json) => ({
      ...span,
      attributes: attributesOf(span.attributes),
      service: about['service.name'],
      pid: about['process.pid'],
    })),
  )
}

function pointsOf({ scopeMetrics }: Json): SeenPoint[] {
  return scopeMetrics.flatMap(({ metrics }: Json) =>
    metrics.flatMap(({ name, sum, gauge, histogram }: Json) =>
      (sum ?? gauge ?? histogram).dataPoints.map((point: Json) => ({
        name,
        attributes: attributesOf(point.attributes),
        value: Number(point.asDouble ?? point.asInt ?? point.count),
      })),
    ),
  )
}

function attributesOf(list: Json[] = []): Record<string, unknown> {
  return Object.fromEntries(list.map(({ key, value }) => [key, valueOf(value)]))
}

function valueOf(value: Json): unknown {
  if ('intValue' in value) return Number(value.intValue)
  if ('arrayValue' in value) return (value.arrayValue.values ?? []).map(valueOf)
  return Object.values(value)[0]
}
