import { trace } from '@opentelemetry/api'
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'
import { expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { agent } from '../../src/agents/agent.ts'
import { setLogger } from '../../src/bus/telemetry/log.ts'
import { app } from '../../src/runtime/app.ts'
import { tool } from '../../src/tools/tool.ts'
import { workflow } from '../../src/workflows/workflow.ts'
import { ask, onAnyBus } from '../lib/world.ts'

const exporter = new InMemorySpanExporter()

/** A tool that fails with two texts, each of which is a secret of one app only. */
const failing = (name: string) => {
  const broken = tool('broken', {
    description: '',
    input: z.any(),
    run() {
      throw Object.assign(new Error(`staff E493021, part P777001, in ${name}`), { code: 'P777001' })
    },
  })
  return [broken, agent(name, { on: `${name}.wanted`, run: ctx => ctx.call(broken, null) })]
}

onAnyBus(world => {
  test('two apps in one process: each line of the log and each span is redacted by the rules of its own app', async () => {
    trace.setGlobalTracerProvider(new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] }))
    onTestFinished(() => {
      trace.disable()
      exporter.reset()
    })
    const staff = { patterns: [{ name: 'staff', match: /\bE\d{6}\b/ }] }
    const parts = { patterns: [{ name: 'part', match: /\bP\d{6}\b/ }] }
    const first = await (await world()).worker({ name: 'first', use: failing('first'), redact: staff })
    const second = await (await world()).worker({ name: 'second', use: failing('second'), redact: parts })
    const lines: string[] = []
    const write = (fields: object, text: string) => lines.push(JSON.stringify({ ...fields, text }))
    setLogger({ warn: write, error: write, info: write })
    onTestFinished(() => setLogger({}))
    for (const [name, worker] of Object.entries({ first, second }))
      expect(await ask(worker, { type: `${name}.wanted`, data: null })).toMatchObject({ type: 'agent.task.failed' })
    await Promise.all([first.stop(), second.stop()])

    const spans = exporter.getFinishedSpans().map(({ status, attributes }) => JSON.stringify([status, attributes]))
    const said = (app: string) => [...lines, ...spans].filter(text => text.includes(`in ${app}`)).join('\n')
    for (const app of ['first', 'second']) expect(said(app).match(/"reason"|"message"/g)!.length).toBeGreaterThan(2)
    expect(said('first')).toContain('staff [redacted staff], part P777001')
    expect(said('first')).not.toContain('E493021')
    expect(said('second')).toContain('staff E493021, part [redacted part]')
    expect(said('second')).not.toContain('P777001')
  })
})

const token = `glpat-${'a1b2c3d4'.repeat(3)}`
const paths = { paths: ['data.card', 'order.paid:data.number', 'tool.invoke:data.input.pin'] }

test.each([
  ['a constant of it is a secret', workflow('refund', { on: 'a.b', within: '1h' }).complete(() => ({ key: token }))],
  [
    'a constant lies where a declared path leads',
    workflow('refund', { on: 'a.b', within: '1h' }).emit('order.made', () => ({ card: '4111' })),
  ],
  [
    'the input of a tool does',
    workflow('refund', { on: 'a.b', within: '1h' }).call(
      'paid',
      tool('pay', { description: '', input: z.object({ pin: z.string() }), run: () => null }),
      () => ({ pin: '834921' }),
      { within: '1h' },
    ),
  ],
])('a workflow is refused at load where %s, by place and rule, and the text does not say it', (_, member) => {
  const load = () => app({ use: [member], redact: paths })
  expect(load).toThrow(
    /^workflow "refund": .*(output\.fields\.key\.value|data\.card|data\.input\.pin) contains a secret \(\[redacted /,
  )
  expect(load).not.toThrow(/glpat-a|4111|834921/)
})
