import { expect, it } from 'vitest'
import { TidingsError } from '../errors.ts'
import { readReason, reasonOf } from './reason.ts'

it('a stored reason is read as it was', () => {
  const reason = reasonOf(new TidingsError('E_PROGRAM_MISMATCH', 'it no longer fits', { data: { fork: 'TASK@2' } }))
  expect(reason).toEqual({
    code: 'E_PROGRAM_MISMATCH',
    message: 'it no longer fits',
    next: expect.stringContaining('tidings fork'),
    data: { fork: 'TASK@2' },
  })
  expect(readReason(JSON.stringify(reason))).toEqual(reason)
  expect(readReason(reason)).toEqual(reason)
})

it('a reason that an older version stored as text has the code that it begins with', () => {
  expect(readReason('E_TASK_HOPS: 17 tasks in a chain')).toEqual({
    code: 'E_TASK_HOPS',
    message: '17 tasks in a chain',
  })
  const mismatch = 'turn 2 differs; tidings fork --from TASK@2 goes on from there with the code as it is'
  expect(readReason(`E_PROGRAM_MISMATCH: ${mismatch}`)).toEqual({
    code: 'E_PROGRAM_MISMATCH',
    message: mismatch,
    data: { fork: 'TASK@2' },
  })
})

it('a text without a known code is its message', () => {
  for (const text of ['tool held is paused', 'E_NO_SUCH: x', '{ not JSON', '{"code":1}', ''])
    expect(readReason(text)).toEqual({ code: 'E_REASON_UNKNOWN', message: text })
})
