import { expect, test } from 'vitest'
import type { CloudEvent } from '../../src/event.ts'
import { conversations } from '../tap-trial/conversation.ts'
import type { RecordedLog, RecordedModelCall } from '../tap-trial/record.ts'
import type { Made } from '../tap-trial/trial.ts'
import { verify } from '../tap-trial/verify.ts'

/* Calls 1091 to 1093 of seed 21 have one tag, and the last one is no call of a model. */

const calls = [...conversations(21, 1_094)].flat().filter(({ tag }) => tag === 'c001091x')
const made = (n: number, attempts: number): Made => {
  const call = calls.find(each => each.n === n)!
  return { call, wasCut: false, attempts, forwarded: 1, isRecent: () => false }
}

function recorded(n: number, process: string, error: string): RecordedModelCall {
  const id = `tap:trial:${process}:${n}`
  const subject = calls.find(each => each.n === n)!.expected!.subject
  const about = { source: '/taps/trial', correlationid: 'one', subject } as unknown as CloudEvent
  return {
    n,
    tag: 'c001091x',
    request: { ...about, id, type: 'model.invoke' },
    answers: [
      { ...about, id: `${id}:result`, type: 'model.failed', data: { error: { code: error, message: statusOf(n) } } },
    ],
  }
}

const statusOf = (n: number) => String(calls.find(each => each.n === n)!.expected!.status ?? '')

const faultsOf = (attempts: number, all: readonly RecordedModelCall[]) => {
  const log: RecordedLog = { calls: all, gap: 0, events: 0, secrets: [] }
  return verify([made(1091, 1), made(1092, attempts), made(1093, 1)], log).faults
}

test('an attempt that a kill ended before the server had it may be on the log, and no other', () => {
  expect(calls.map(({ n }) => n)).toEqual([1091, 1092, 1093])
  const [first, second] = [recorded(1091, 'a', 'E_TAP_UPSTREAM'), recorded(1092, 'b', 'E_MODEL_FAILED')]
  const attempt = recorded(1092, 'a', 'E_TAP_INTERRUPTED')
  expect(faultsOf(1, [first, second])).toEqual([])
  expect(faultsOf(2, [first, attempt, second])).toEqual([])
  expect(faultsOf(1, [first, attempt, second])).toContainEqual(expect.stringContaining('1 times interrupted'))
})
