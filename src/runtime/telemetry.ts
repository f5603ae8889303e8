import { context, diag, DiagLogLevel, trace } from '@opentelemetry/api'
import type * as SdkTrace from '@opentelemetry/sdk-trace'
import type { Sampler } from '@opentelemetry/sdk-trace'
import { settledOrAborted } from '../bus/abort.ts'
import { plainRedactor } from '../bus/redact.ts'
import { spanIds } from '../bus/telemetry/ids.ts'
import { log } from '../bus/telemetry/log.ts'
import { isTracing, detectSdk } from '../bus/telemetry/tracing.ts'
import { TidingsError } from '../errors.ts'
import { metricProducer } from './otlp-metrics.ts'
import type { Stoppable } from './stop.ts'

const packages = [
  '@opentelemetry/context-async-hooks', '@opentelemetry/exporter-metrics-otlp-proto',
  '@opentelemetry/exporter-trace-otlp-proto', '@opentelemetry/resources', '@opentelemetry/sdk-metrics',
  '@opentelemetry/sdk-trace',
] // biome-ignore format: one list

// A task with a few calls has tens of spans. Spans that do not fit into the queue are dropped.
const [maxQueueSize, maxExportBatchSize] = [16_384, 1_024]
const flushTimeoutMs = 3_000
const logThrottleMs = 60_000

type Env = NodeJS.ProcessEnv
type Flush = () => Promise<unknown>

let exporting: Promise<Flush> | undefined

/**
 * Exports spans and metrics by OTLP/HTTP if the environment names a collector, once for all apps of this process. An SDK that is already
 * registered is used instead.
 * @throws E_TELEMETRY_MISSING, E_SETTING_INVALID
 */
export async function startTelemetry(app: string, env: Env = process.env): Promise<Stoppable | undefined> {
  const signals = { traces: isWanted(env, 'TRACES'), metrics: isWanted(env, 'METRICS') }
  detectSdk()
  if (!exporting && ((!signals.traces && !signals.metrics) || isTracing())) return undefined
  exporting ??= setUp(app, env, signals)
  const flush = await exporting.catch(error => {
    exporting = undefined
    throw error
  })
  return {
    stop: async abort => {
      const late = AbortSignal.any([AbortSignal.timeout(flushTimeoutMs), abort])
      await settledOrAborted(flush(), late)
    },
  }
}

function isWanted(env: Env, signal: 'TRACES' | 'METRICS'): boolean {
  if (env.OTEL_SDK_DISABLED === 'true' || env[`OTEL_${signal}_EXPORTER`] === 'none') return false
  if (!env.OTEL_EXPORTER_OTLP_ENDPOINT && !env[`OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`]) return false
  const names = [`OTEL_EXPORTER_OTLP_${signal}_PROTOCOL`, 'OTEL_EXPORTER_OTLP_PROTOCOL']
  const name = names.find(each => env[each])
  if (name && env[name] !== 'http/protobuf')
    throw new TidingsError('E_SETTING_INVALID', `${name} is "${env[name]}": only http/protobuf is supported`)
  return true
}

async function setUp(app: string, env: Env, signals: { traces: boolean; metrics: boolean }): Promise<Flush> {
  const exportIntervalMillis = intervalOf(env)
  const [hooks, metricsOtlp, traceOtlp, resources, sdkMetrics, sdkTrace] = await loadSdk()
  diag.setLogger(throttledLogger(), { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true })
  const { envDetector, serviceInstanceIdDetector, serviceNameEnvDetector } = resources
  const resource = resources
    .defaultResource()
    .merge(resources.resourceFromAttributes({ 'service.name': app, 'process.pid': process.pid }))
    .merge(resources.detectResources({ detectors: [envDetector, serviceNameEnvDetector, serviceInstanceIdDetector] }))
  const flushes: Flush[] = []
  if (signals.traces) {
    const exporter = new traceOtlp.OTLPTraceExporter()
    const provider = new sdkTrace.TracerProvider({
      resource,
      sampler: samplerOf(sdkTrace, env),
      idGenerator: spanIds(),
      spanProcessors: [new sdkTrace.BatchSpanProcessor({ exporter, maxQueueSize, maxExportBatchSize })],
    })
    trace.setGlobalTracerProvider(provider)
    context.setGlobalContextManager(new hooks.AsyncLocalStorageContextManager().enable())
    flushes.push(() => provider.forceFlush({ timeoutMillis: flushTimeoutMs }))
  }
  if (signals.metrics) {
    const reader = new sdkMetrics.PeriodicExportingMetricReader({
      exporter: new metricsOtlp.OTLPMetricExporter(),
      exportIntervalMillis,
      metricProducers: [metricProducer(sdkMetrics, resource)],
    })
    const provider = new sdkMetrics.MeterProvider({ resource, readers: [reader] })
    flushes.push(() => provider.forceFlush({ timeoutMillis: flushTimeoutMs }))
  }
  return () => Promise.allSettled(flushes.map(flush => flush()))
}

function intervalOf({ OTEL_METRIC_EXPORT_INTERVAL: text = '60000' }: Env): number {
  if (Number(text) > 0) return Number(text)
  throw new TidingsError(
    'E_SETTING_INVALID',
    `OTEL_METRIC_EXPORT_INTERVAL is "${text}": expected a number of milliseconds`,
  )
}

async function loadSdk() {
  try {
    return await Promise.all([
      import('@opentelemetry/context-async-hooks'),
      import('@opentelemetry/exporter-metrics-otlp-proto'),
      import('@opentelemetry/exporter-trace-otlp-proto'),
      import('@opentelemetry/resources'),
      import('@opentelemetry/sdk-metrics'),
      import('@opentelemetry/sdk-trace'),
    ])
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw cause
    const text = `OTEL_EXPORTER_OTLP_ENDPOINT is set, but the SDK is not installed: run npm install ${packages.join(' ')}`
    throw new TidingsError('E_TELEMETRY_MISSING', text, { cause })
  }
}

function samplerOf(sdk: typeof SdkTrace, env: Env): Sampler {
  const { OTEL_TRACES_SAMPLER: text = 'parentbased_always_on', OTEL_TRACES_SAMPLER_ARG: argument = '1' } = env
  const [, parentBased, name] = /^(parentbased_)?(\w+)$/.exec(text) ?? []
  const ratio = Number(argument)
  const root =
    name === 'always_on'
      ? new sdk.AlwaysOnSampler()
      : name === 'always_off'
        ? new sdk.AlwaysOffSampler()
        : name === 'traceidratio' && ratio >= 0 && ratio <= 1
          ? new sdk.TraceIdRatioBasedSampler(ratio)
          : undefined
  if (!root)
    throw new TidingsError(
      'E_SETTING_INVALID',
      `OTEL_TRACES_SAMPLER=${text}, OTEL_TRACES_SAMPLER_ARG=${argument}: no sampler of the OpenTelemetry specification`,
    )
  return parentBased ? new sdk.ParentBasedSampler({ root }) : root
}

/** Logs messages of the SDK, such as that the collector does not answer; each at most once a minute. */
function throttledLogger() {
  const lastLogged = new Map<string, number>()
  const report = (text: string) => {
    const clean = plainRedactor.text(text)
    const now = Date.now()
    if (now - (lastLogged.get(text) ?? -Infinity) < logThrottleMs) return
    if (lastLogged.size > 100) lastLogged.clear()
    lastLogged.set(text, now)
    if (log.warn) log.warn({}, `telemetry: ${clean}`)
    else process.emitWarning(`telemetry: ${clean}`)
  }
  const nothing = () => {}
  return { error: report, warn: report, info: nothing, debug: nothing, verbose: nothing }
}
