import { expect, test } from 'vitest'
import { emitId, resultId, taskId, turnId } from '../bus/ids.ts'
import { createEvent, type Draft } from '../event.ts'
import { Rates } from './rates.ts'

const now = Date.parse('2026-11-01T12:00:30.500Z')
const correlationid = '01900000-0000-7000-8000-000000000001'
const task = taskId(correlationid, 'a', 'start')

function ratesOf(drafts: readonly (Draft & { ago: number })[], since = 0) {
  const rates = new Rates(since)
  for (const { ago, ...draft } of drafts)
    rates.add({ ...createEvent({ correlationid, ...draft }), time: new Date(now - ago).toISOString() }, now - ago)
  return rates.activity(now)
}

/** Tool calls, each answered after so many ms, the answers a second ago. */
const calls = (times: readonly number[], target = 'web.search', failed = 0) =>
  times.flatMap((ms, i) => {
    const id = emitId(task, i + 1, 0)
    return [
      { id, type: 'tool.invoke', target, data: null, ago: 1_000 + ms },
      { id: resultId(id), type: i < failed ? 'tool.failed' : 'tool.result', call: id, data: null, ago: 1_000 },
    ]
  })

test('the times of tools are from the request to the answer, also where that is long ago', () => {
  const { tools, models } = ratesOf(
    calls(
      Array.from({ length: 100 }, (_, i) => (i + 1) * 100),
      'web.search',
      3,
    ),
  )
  expect(tools).toEqual([{ name: 'web.search', calls: 100, failed: 3, retries: 0, p50: 5_100, p95: 9_600 }])
  expect(models).toEqual([])
})

test('a request that is kept from its tool counts under the name of the tool, and an answer once', () => {
  const [request, answer] = calls([20])
  const { tools } = ratesOf([{ ...request!, target: '$replay', subject: 'mail.send' }, answer!, answer!])
  expect(tools).toMatchObject([{ name: 'mail.send', calls: 1, p50: 20 }])
})

test('rates are over the last ten seconds, or as long as everything was seen; sums over a minute', () => {
  const paid = (ago: number) => ({ type: 'order.paid', data: null, ago })
  const result = { type: 'model.result', data: { usage: { input: 30, output: 12 }, cost: 0.5 }, ago: 30_000 }
  const turns = [1, 2].map(version => ({ id: turnId(task, version), type: 'task.turn', data: null, ago: 2_000 }))
  const ended = { type: 'agent.task.failed', data: null, ago: 1_000 }
  const all = [paid(70_000), result, paid(20_000), ...turns, ...[1, 2, 3].map(s => paid(s * 1_000)), ended]
  const { types, started, ended: over, perSecond, tokens, cost } = ratesOf(all)
  expect({ tokens, cost }).toEqual({ tokens: 42, cost: 0.5 })
  // The tenth second has lasted half a second.
  expect(types[0]).toEqual({ type: 'order.paid', perSecond: 3 / 9.5 })
  expect(perSecond).toBeCloseTo(6 / 9.5)
  expect({ started, over }).toEqual({ started: 1 / 9.5, over: 1 / 9.5 })
  expect(ratesOf([paid(1_000), paid(2_000)], now - 4_000).perSecond).toBe(0.5)
})

test('turns and ends of tasks count for their program', () => {
  const turns = [1, 2].map(version => ({ id: turnId(task, version), type: 'task.turn', source: '/agents/desk', data: null, ago: 2_000 })) // biome-ignore format: one line
  const ends = ['completed', 'failed'].map(how => ({ type: `agent.task.${how}`, source: '/workflows/order', data: null, ago: 1_000 })) // biome-ignore format: one line
  expect(ratesOf([...turns, ...ends]).programs).toEqual([
    { name: 'desk', turns: 2, ended: 0, failed: 0 },
    { name: 'order', turns: 0, ended: 2, failed: 1 },
  ])
})

test('attempts that failed and are retried count for their model, also before it has answered', () => {
  const delayed = { type: 'model.delayed', source: '/models/gpt', data: null, ago: 1_000 }
  const { models } = ratesOf([delayed, delayed])
  expect(models).toEqual([{ name: 'gpt', calls: 0, failed: 0, retries: 2, p50: 0, p95: 0 }])
})
