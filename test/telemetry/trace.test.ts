import { expect, test } from 'vitest'
import { openBus } from '../../src/runtime/environment.ts'
import { until } from '../../src/testing/wait.ts'
import { buildTraceTree } from '../../src/trace/build-tree.ts'
import { describeCollector, readPrometheus, startReceiver, total, type Receiver, type Seen } from './lib/collector.ts'
import { House } from './lib/house.ts'
import { shapeOfSpans, shapeOfTrace } from './lib/shape.ts'

const exporting = ({ url }: Receiver) => ({ OTEL_EXPORTER_OTLP_ENDPOINT: url, TIDINGS_LOG_LEVEL: 'info' })
const named = (spans: readonly Seen[], name: string) => spans.filter(span => span.name === name)
const traceOf = (correlation: string) => correlation.replaceAll('-', '')
const tracesIn = (spans: readonly Seen[]) => [...new Set(spans.map(({ traceId }) => traceId))]
const ids = (spans: readonly Seen[]) => new Set(spans.map(({ spanId }) => spanId))
const orphans = (spans: readonly Seen[]) =>
  spans.filter(({ parentSpanId }) => parentSpanId && !ids(spans).has(parentSpanId))

describeCollector('with a collector', () => {
  test('a mail, five tasks and two processes give one trace, of the shape that tidings trace shows', async () => {
    const receiver = await startReceiver()
    const house = await House.open()
    const front = await house.worker('agents,gateway,triggers', exporting(receiver))
    const back = await house.worker('tools,models', exporting(receiver))
    await house.mail('tea')
    const events = await house.events(5)
    const metrics = await until(async () => {
      const text = await (await fetch(`${house.gateway}/metrics`)).text()
      return text.includes('tidings_group_lag{group="app/story"} 0') && text
    })
    await Promise.all([front.stop(), back.stop()])
    const spans = receiver.spans()
    const [correlation] = [...new Set(events.map(({ correlationid }) => correlationid))] as [string]

    expect(tracesIn(spans)).toEqual([traceOf(correlation)])
    expect(spans.filter(({ parentSpanId }) => !parentSpanId).map(({ name }) => name)).toEqual(['receive mail'])
    const shape = shapeOfTrace(buildTraceTree(events))
    expect(JSON.stringify(shape).match(/"id"/g)!.length).toBeGreaterThan(20)
    expect(shapeOfSpans(spans)).toEqual(shape)
    expect(new Set(spans.map(({ pid }) => pid))).toEqual(new Set([front.pid, back.pid]))
    expect(new Set(spans.map(({ service }) => service))).toEqual(new Set(['story']))

    expect(named(spans, 'invoke_agent researcher')[0]!.attributes).toMatchObject({
      'gen_ai.operation.name': 'invoke_agent',
      'gen_ai.agent.name': 'researcher',
      'tidings.correlation': correlation,
      'tidings.task.end': 'completed',
      'tidings.program.version': 1,
      'tidings.tenant': 'default',
    })
    const chats = named(spans, 'chat thinker')
    expect(chats).toHaveLength(6)
    expect(chats[0]!.attributes).toMatchObject({
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'bench',
      'gen_ai.request.model': 'thinker',
      'gen_ai.usage.input_tokens': 1,
      'gen_ai.usage.output_tokens': 1,
      'tidings.cost': 3,
    })
    const runs = named(spans, 'execute_tool search')
    expect(runs).toHaveLength(8)
    expect(runs.filter(({ status }) => status.code === 2)).toHaveLength(4)
    const second = named(spans, 'process tool.invoke').find(({ attributes }) => attributes['tidings.attempt'] === 2)!
    expect(second.attributes).toMatchObject({
      'messaging.system.name': 'sqlite',
      'messaging.operation.type': 'process',
      'messaging.consumer.group.name': 'tool/search',
      'tidings.outcome': 'done',
      'tidings.queue_time': expect.any(Number),
    })
    // A turn is linked to what its inputs answer.
    const links = named(spans, 'decide researcher').flatMap(span => span.links ?? [])
    expect(links.length).toBeGreaterThan(0)
    expect(links.filter(({ spanId }) => !ids(spans).has(spanId))).toEqual([])
    // Of what was said nothing is exported, least of all a secret.
    expect(receiver.text()).not.toContain('sk-ant-api03')
    expect(receiver.text()).not.toContain('Please.')

    const { families, problems } = readPrometheus(metrics)
    const value = (name: string, labels: Record<string, string> = {}) => total(families[name], labels)
    expect(problems).toBeNull()
    expect(value('tidings_tasks_started_total', { program: 'researcher' })).toBe(2)
    expect(value('tidings_tasks_ended_total', { end: 'completed' })).toBe(5)
    expect(value('tidings_decide_duration_seconds')).toBe(events.filter(({ type }) => type === 'task.turn').length)
    expect(value('tidings_events_published_total', { type: 'email.received' })).toBe(1)
    expect(value('tidings_events_published_total', { type: 'tool.invoke' })).toBe(6)
    expect(value('tidings_group_in_flight', { group: 'tool/search' })).toBe(0)
    expect(value('tidings_log_up')).toBe(1)
    expect(value('tidings_log_position')).toBeGreaterThan(0)

    // The other process has no gateway: it pushes.
    const point = (name: string, attributes: object) =>
      receiver
        .points()
        .find(each => each.name === name && expect.objectContaining(attributes).asymmetricMatch(each.attributes))?.value
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
      trace_id: traceOf(correlation),
      reason: expect.stringContaining('busy'),
    })
    expect(events.map(({ id }) => id)).toContain(retry.event)
    expect(String(retry.event).startsWith(`${String(retry.task)}:`)).toBe(true)
    expect(ids(spans)).toContain(retry.span_id)
    expect(JSON.stringify(back.log())).not.toContain('sk-ant-api03')
    expect(front.log().map(({ message }) => message)).toEqual(
      expect.arrayContaining(['worker started', 'worker stopped']),
    )
  })

  test('a caller with a trace of its own has it continued, also by agents that have no SDK', async () => {
    const receiver = await startReceiver()
    const house = await House.open()
    const front = await house.worker('gateway', exporting(receiver))
    const middle = await house.worker('agents')
    const back = await house.worker('tools,models', exporting(receiver))
    const caller = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' }
    const traceparent = `00-${caller.traceId}-${caller.spanId}-01`
    await house.post({ type: 'case.closed' }, { traceparent })
    const events = await house.events(2)
    await Promise.all([front.stop(), middle.stop(), back.stop()])
    const spans = receiver.spans()
    expect(tracesIn(spans)).toEqual([caller.traceId])
    const [door] = named(spans, 'POST /events') as [Seen]
    const [published] = named(spans, 'publish case.closed') as [Seen]
    const [delivered] = named(spans, 'process tool.invoke') as [Seen]
    expect(door.parentSpanId).toBe(caller.spanId)
    expect(published.parentSpanId).toBe(door.spanId)
    expect(delivered.parentSpanId).toBe(published.spanId)
    const carried = events.find(({ type }) => type === 'tool.invoke')!.traceparent
    expect(carried).toBe(`00-${caller.traceId}-${published.spanId}-01`)
  })

  test('what the caller did not sample is not exported, and the flag is passed on', async () => {
    const receiver = await startReceiver()
    const house = await House.open()
    const worker = await house.worker('agents,tools,models,gateway', exporting(receiver))
    const unsampled = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00'
    await house.post({ type: 'case.closed' }, { traceparent: unsampled })
    const events = await house.events(2)
    const after = await house.post({ type: 'something.else' })
    await worker.stop()
    expect(tracesIn(receiver.spans())).toEqual([traceOf(after)])
    const flags = events.map(({ traceparent }) => traceparent).filter(Boolean)
    expect(flags.length).toBeGreaterThan(4)
    for (const each of flags) expect(each).toMatch(/^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-00$/)
  })

  test('agents that are killed and restarted continue in the same trace, below the same task', async () => {
    const receiver = await startReceiver()
    const house = await House.open()
    const front = await house.worker('gateway', exporting(receiver))
    const first = await house.worker('agents', exporting(receiver))
    const correlation = await house.post({ type: 'tea.wanted', data: { subject: 'tea' } })
    await untilAsked(house)
    await first.kill()
    const second = await house.worker('agents', exporting(receiver))
    const back = await house.worker('tools,models', exporting(receiver))
    const events = await house.events(5)
    await Promise.all([front.stop(), second.stop(), back.stop()])
    const spans = receiver.spans()
    expect(tracesIn(spans)).toEqual([traceOf(correlation)])
    const clerk = named(spans, 'invoke_agent clerk')
    expect(clerk).toHaveLength(1)
    const turns = named(spans, 'decide clerk')
    expect(turns.length).toBeGreaterThan(1)
    expect(new Set(turns.map(({ parentSpanId }) => parentSpanId))).toEqual(new Set([clerk[0]!.spanId]))
    expect(events.filter(({ type }) => type === 'agent.task.completed')).toHaveLength(5)
  })

  test('a publisher without an SDK begins no trace, and the correlation is still its id', async () => {
    const receiver = await startReceiver()
    const house = await House.open()
    const front = await house.worker('gateway')
    const worker = await house.worker('agents,tools,models', exporting(receiver))
    const correlation = await house.post({ type: 'case.closed' })
    await house.events(2)
    await Promise.all([front.stop(), worker.stop()])
    const spans = receiver.spans()
    expect(tracesIn(spans)).toEqual([traceOf(correlation)])
    expect(orphans(spans)).toEqual([])
    expect(
      spans
        .filter(({ parentSpanId }) => !parentSpanId)
        .map(({ name }) => name)
        .toSorted(),
    ).toEqual(['invoke_agent archivist', 'invoke_agent counter'])
  })
})

/** When the first request of a task is on the log. */
async function untilAsked(house: House): Promise<void> {
  const bus = await openBus({ home: house.home, bus: 'sqlite' })
  try {
    await until(async () => {
      const types = await Array.fromAsync(bus.read({}), ({ event }) => event.type)
      return types.filter(type => type === 'model.invoke').length === 2
    })
  } finally {
    await bus.driver.close()
  }
}
