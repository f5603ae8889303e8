import { expect, test } from 'vitest'
import { z } from 'zod'
import { TimeScale } from '../../console/src/trace/time-scale.ts'
import { type TraceLine, TraceLines } from '../../console/src/trace/trace-lines.ts'
import { agent, app, event, offlineModel, tool } from '../../src/index.ts'
import { reply, testApp } from '../../src/testing/index.ts'
import { slim } from '../../src/trace/slim.ts'

/* The lines of a trace, as the console shows them: what waited, what ran, and what it cost. */

const asked = event('support.asked', z.object({ text: z.string() }))
const book = tool('ledger.book', {
  description: 'Books.',
  input: z.object({ cents: z.number() }),
  retry: { maxAttempts: 3, backoff: '2s', jitter: 0 },
  run: () => ({}),
})
const refund = tool('money.refund', {
  description: 'Refunds.',
  input: z.object({ cents: z.number() }),
  approval: true,
  atMostOnce: true,
  run: () => ({}),
})
const helper = agent('helper', { input: z.string(), model: offlineModel(), instructions: 'Help.' })
const desk = agent('desk', {
  on: asked,
  async run(ctx, { text }) {
    await ctx.call(helper, text)
    await ctx.call(book, { cents: 5 })
    await ctx.sleep('1h')
    return ctx.call(refund, { cents: 5 })
  },
})

async function story() {
  let attempts = 0
  await using world = await testApp(app({ name: 'support', use: [asked, book, refund, helper, desk] }), {
    model: [reply('On Sunday.')],
    tools: {
      'ledger.book': () => {
        if (++attempts < 2) throw new Error('busy')
        return {}
      },
    },
  })
  const { correlationid } = await world.publish(asked, { text: 'When?' })
  await world.advance('2h')
  const waiting = await rowsOf(world.running.bus, correlationid)
  await world.approve('money.refund', { by: 'ann' })
  await world.idle()
  return { waiting, all: await rowsOf(world.running.bus, correlationid) }
}

const spent = { usage: { input: 7, output: 3 }, cost: 0.5 }

async function rowsOf(bus: Awaited<ReturnType<typeof testApp>>['running']['bus'], correlation: string) {
  const rows = []
  for await (const { event: each } of bus.read({ correlation })) {
    const row = slim(await bus.resolve(each))
    rows.push(row.type === 'model.result' ? { ...row, data: { ...(row.data as object), ...spent } } : row)
  }
  return rows
}

const begin = Date.UTC(2026, 0, 1)
const time = (ms: number) => (ms === Infinity ? 'open' : String((ms - begin) / 1_000))

const textOf = ({ depth, label, name, status, tokens, cost, spans }: TraceLine) =>
  [
    `${'  '.repeat(depth)}${label}${name === undefined ? '' : ` ${name}`}`,
    ...(status === undefined ? [] : [status]),
    ...(tokens === 0 ? [] : [`${tokens} tokens for ${cost}`]),
    ...spans.map(({ kind, from, to }) => `${kind} ${time(from)}-${time(to)}`),
  ].join(', ')

test('a trace tells waiting from running, and adds up what is below', async () => {
  const { waiting, all } = await story()
  const trace = new TraceLines()
  expect(trace.build(waiting).lines.map(textOf)).toMatchInlineSnapshot(`
    [
      "support.asked, 10 tokens for 0.5",
      "  agent desk, running, 10 tokens for 0.5, waiting 0-open",
      "    agent helper, answered, 10 tokens for 0.5, running 0-0",
      "      model tidings/offline-extractive, answered, 10 tokens for 0.5, running 0-0",
      "    tool ledger.book, answered, backoff 0-2",
      "      tool.delayed",
      "    timer, answered, waiting 2-3602",
      "    tool money.refund, waiting, waiting 3602-open",
      "      approval money.refund, waiting, waiting 3602-open",
    ]
  `)
  const { lines, totals } = trace.build(all)
  expect(lines.map(textOf)).toMatchInlineSnapshot(`
    [
      "support.asked, 10 tokens for 0.5",
      "  agent desk, completed, 10 tokens for 0.5, waiting 0-7200",
      "    agent helper, answered, 10 tokens for 0.5, running 0-0",
      "      model tidings/offline-extractive, answered, 10 tokens for 0.5, running 0-0",
      "    tool ledger.book, answered, backoff 0-2",
      "      tool.delayed",
      "    timer, answered, waiting 2-3602",
      "    tool money.refund, answered, waiting 3602-7200",
      "      approval money.refund, answered, waiting 3602-7200",
      "        approval.claimed",
      "      tool.claimed",
    ]
  `)
  const { idles, busyUntil, from, to, ...counts } = totals
  expect([from, to, busyUntil, ...idles.flatMap(idle => [idle.from, idle.to])].map(time)).toEqual([
    '0',
    '7200',
    '7200',
    '2',
    '3602',
    '3602',
    '7200',
  ])
  expect(counts).toMatchInlineSnapshot(`
    {
      "calls": 5,
      "cost": 0.5,
      "events": 24,
      "failed": 0,
      "open": 0,
      "tasks": 2,
      "tokens": 10,
    }
  `)
})

test('every answer of a worker says how long it took', async () => {
  const { all } = await story()
  const attempts = all.filter(({ type }) => /^(tool|model)\.(result|failed|delayed)$/.test(type))
  expect(attempts.map(({ type, data }) => [type, (data as { ranMs?: number }).ranMs])).toEqual([
    ['model.result', 0],
    ['tool.delayed', 0],
    ['tool.result', 0],
    ['tool.result', 0],
  ])
})

test('a line keeps its number, and every event has one', async () => {
  const { waiting, all } = await story()
  const trace = new TraceLines()
  const before = trace.build(waiting).lines.map(({ n, event: id }) => [n, id])
  const after = trace.build(all).lines.map(({ n, event: id }) => [n, id])
  expect(after).toEqual(expect.arrayContaining(before))
  expect(all.filter(({ id }) => trace.find(id) === undefined)).toEqual([])
})

test('the time axis folds what was idle, and finds the way back', async () => {
  const { all } = await story()
  const { totals } = new TraceLines().build(all)
  const scale = new TimeScale(totals.from, totals.to, totals.idles)
  expect(scale.idles.length).toBe(2)
  const [idle] = scale.idles
  expect(scale.x(idle!.to) - scale.x(idle!.from)).toBeCloseTo(0.035)
  for (const x of [0, 0.2, 0.5, 0.99, 1]) expect(scale.x(scale.at(x))).toBeCloseTo(x)
  expect(scale.ticks(totals.from, 8)[0]).toEqual({ x: 0, text: '0' })
})
