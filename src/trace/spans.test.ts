import { expect, test } from 'vitest'
import { approvalId, claimId, delayedId, emitId, resultId, taskId } from '../bus/ids.ts'
import { createEvent, type CloudEvent, type Draft } from '../event.ts'
import { buildTraceTree } from './build-tree.ts'
import { callTimes, spansOfCall } from './spans.ts'
import type { TraceNode } from './tree.ts'

const correlation = '01900000-0000-7000-8000-000000000001'
const begin = Date.parse('2026-11-01T12:00:00.000Z')
const call = emitId(taskId(correlation, 'desk', 'q1'), 1, 0)

const made = (id: string, type: string, at: number, draft: Partial<Draft> = {}): CloudEvent => ({
  ...createEvent({ id, type, correlationid: correlation, causationid: call, data: null, ...draft }),
  time: new Date(begin + at).toISOString(),
})

const request = made(call, 'tool.invoke', 0, { target: 'book', replyto: 'desk', causationid: 'q1' })
const answer = (at: number, ranMs?: number) =>
  made(resultId(call), 'tool.result', at, { call, data: { output: 1, ...(ranMs !== undefined && { ranMs }) } })
const delayed = (n: number, at: number, until: number, ranMs?: number) =>
  made(delayedId(call, n), 'tool.delayed', at, {
    data: { attempts: n, until: new Date(begin + until).toISOString(), ...(ranMs !== undefined && { ranMs }) },
  })

const callIn = (events: readonly CloudEvent[]): TraceNode => buildTraceTree(events).tasks[0]!.nodes[0]!
const times = (...events: CloudEvent[]) =>
  spansOfCall(callIn([request, ...events])).map(({ kind, from, to }) => `${kind} ${from - begin}-${to - begin}`)

test('a call is in the queue until a worker takes it', () => {
  expect(times(answer(1_000, 80))).toEqual(['queued 0-920', 'running 920-1000'])
  expect(callTimes(callIn([request, answer(1_000, 80)]))).toEqual({ queuedMs: 920, ranMs: 80 })
})

test('each attempt has its queue', () => {
  expect(times(delayed(1, 300, 1_300, 100), answer(2_000, 500))).toEqual([
    'queued 0-200',
    'running 200-300',
    'backoff 300-1300',
    'queued 1300-1500',
    'running 1500-2000',
  ])
})

test('nobody works on a call before a person has approved it', () => {
  const asked = made(approvalId(call), 'approval.requested', 40, { target: 'book' })
  const granted = made(resultId(asked.id), 'approval.granted', 900, { call: asked.id, causationid: asked.id })
  expect(times(asked, granted, answer(1_000, 80))).toEqual(['queued 0-40', 'waiting 40-900', 'queued 900-920', 'running 920-1000']) // biome-ignore format: one list
})

test('a claim is the beginning of a call that has no answer', () => {
  expect(times(made(claimId(call), 'tool.claimed', 70))).toEqual(['queued 0-70', 'running 70-Infinity'])
})

test('what the log does not say counts as running', () => {
  expect(times()).toEqual(['running 0-Infinity'])
  expect(times(delayed(1, 300, 1_300), answer(2_000))).toEqual([
    'running 0-300',
    'backoff 300-1300',
    'running 1300-2000',
  ])
  expect(callTimes(callIn([request, answer(2_000)]))).toBeUndefined()
})

test('times of other clocks, and of the recorded answers of a replay, stay inside the call', () => {
  expect(times(answer(50, 80))).toEqual(['running 0-50'])
  expect(times(answer(-20, 80))).toEqual(['running 0-0'])
  expect(times(delayed(1, 300, 9_000, 900), answer(2_000, 80))).toEqual(['running 0-300', 'backoff 300-2000'])
})
