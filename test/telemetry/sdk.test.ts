import { context, trace } from '@opentelemetry/api'
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider, type IdGenerator } from '@opentelemetry/sdk-trace'
import { afterEach, expect, test } from 'vitest'
import { agent, spanIds, tool } from '../../src/index.ts'
import { startLogging } from '../../src/runtime/logging.ts'
import { startTelemetry } from '../../src/runtime/telemetry.ts'
import { buildTraceTree } from '../../src/trace/build-tree.ts'
import { z } from 'zod'
import { ask, eventsOf, onAnyBus } from '../lib/world.ts'
import { House } from './lib/house.ts'
import { shapeOfSpans, shapeOfTrace } from './lib/shape.ts'

const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
const echo = tool('echo', {
  description: 'Says it again.',
  input: z.object({ text: z.string() }),
  run: ({ text }) => text,
})
const asker = agent('asker', { on: 'asked', run: ctx => ctx.call(echo, { text: 'hello' }) })

function registered(idGenerator?: IdGenerator): InMemorySpanExporter {
  const exporter = new InMemorySpanExporter()
  const spanProcessors = [new SimpleSpanProcessor({ exporter })]
  trace.setGlobalTracerProvider(new TracerProvider({ spanProcessors, ...(idGenerator && { idGenerator }) }))
  return exporter
}

afterEach(() => {
  trace.disable()
  context.disable()
})

const seen = (exporter: InMemorySpanExporter) =>
  exporter.getFinishedSpans().map(span => ({
    ...span.spanContext(),
    parentSpanId: span.parentSpanContext?.spanId,
    name: span.name,
    attributes: span.attributes,
  }))

onAnyBus(world => {
  test('without an SDK the context of the caller is passed on unchanged, and no program sees it', async () => {
    const keys = (event: object) => Object.keys(event)
    const looking = agent('looking', {
      on: 'asked',
      init: start => ({ seen: [keys(start)] }),
      evolve: (state: { seen: string[][] }, event) => ({ seen: [...state.seen, keys(event)] }),
      decide(state, inputs, ctx) {
        if (inputs.some(({ type }) => type === 'tool.result'))
          ctx.complete([...state.seen, ...inputs.map(keys), keys(ctx.start)])
        else ctx.call({ type: 'tool.invoke', target: 'echo', data: { input: { text: 'x' } } })
      },
    })
    const worker = await (await world()).worker({ use: [looking, echo] })
    const end = await ask(worker, { type: 'asked', data: null, traceparent })
    expect((end.data as { output: string[][] }).output).toHaveLength(6)
    expect((end.data as { output: string[][] }).output.flat()).not.toContain('traceparent')
    const events = await eventsOf(worker, end.correlationid)
    expect(events.map(event => event.traceparent)).toEqual(events.map(() => traceparent))
  })

  test('with an SDK that was registered before, its ids given or not, everything is one trace', async () => {
    for (const ids of [undefined, spanIds()]) {
      const exporter = registered(ids)
      const worker = await (await world()).worker({ use: [asker, echo] })
      const end = await ask(worker, { type: 'asked', data: null })
      const events = await eventsOf(worker, end.correlationid)
      await worker.stop()
      trace.disable()
      const spans = seen(exporter)
      expect(new Set(spans.map(({ traceId }) => traceId)).size).toBe(1)
      expect(spans.filter(({ parentSpanId }) => parentSpanId === undefined).map(({ name }) => name)).toEqual([
        'publish asked',
      ])
      const known = new Set(spans.map(({ spanId }) => spanId))
      expect(spans.filter(({ parentSpanId }) => parentSpanId && !known.has(parentSpanId))).toEqual([])
      if (ids) expect(shapeOfSpans(spans)).toEqual(shapeOfTrace(buildTraceTree(events)))
    }
  })
})

test('a collector that does not answer holds nothing up, and is spoken of', async () => {
  const house = await House.open()
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9',
    TIDINGS_LOG_LEVEL: 'warn',
    OTEL_EXPORTER_OTLP_TIMEOUT: '100',
  }
  const worker = await house.worker('agents,tools,models,gateway', env)
  await house.post({ type: 'case.closed' })
  await house.events(2)
  await worker.stop()
  expect(worker.log().map(({ message }) => message)).toContainEqual(expect.stringContaining('telemetry: '))
})

test('where the SDK is wanted and not installed, the text says what to install', async () => {
  const house = await House.open()
  const hidden = `import{registerHooks}from"node:module";registerHooks({resolve(name,at,next){
    if(name==="@opentelemetry/sdk-trace")throw Object.assign(new Error(name),{code:"ERR_MODULE_NOT_FOUND"});return next(name,at)}})`
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9',
    NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(hidden)}`,
  }
  await expect(house.worker('gateway', env)).rejects.toThrow(
    /E_TELEMETRY_MISSING.*npm install .*@opentelemetry\/sdk-trace/s,
  )
})

test('settings that are none are refused', async () => {
  const OTEL_EXPORTER_OTLP_ENDPOINT = 'http://127.0.0.1:9'
  const refused = { code: 'E_SETTING_INVALID' }
  for (const env of [
    { OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' },
    { OTEL_TRACES_SAMPLER: 'sometimes' },
    { OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '2' },
    { OTEL_METRIC_EXPORT_INTERVAL: 'often' },
  ])
    await expect(startTelemetry('test', { OTEL_EXPORTER_OTLP_ENDPOINT, ...env })).rejects.toMatchObject(refused)
  await expect(startLogging({ TIDINGS_LOG_LEVEL: 'loud' })).rejects.toMatchObject(refused)
  expect(await startTelemetry('test', { OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_SDK_DISABLED: 'true' })).toBeUndefined()
  expect(await startTelemetry('test', {})).toBeUndefined()
})
