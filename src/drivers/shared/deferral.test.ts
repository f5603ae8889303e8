import { expect, test } from 'vitest'
import { reason } from '../../bus/reason.ts'
import { deferralOf } from './deferral.ts'

const why = reason('E_INTERNAL', 'no')

test('a retry is delayed, a park parked, a discard dead', () => {
  expect(deferralOf({ kind: 'retry', after: 0, reason: why })).toEqual({ state: 'delayed', reason: why, delayMs: 0 })
  expect(deferralOf({ kind: 'retry', after: 5, reason: why, memo: 'm' })).toMatchObject({ delayMs: 5, memo: 'm' })
  expect(deferralOf({ kind: 'park', reason: why })).toEqual({ state: 'parked', reason: why })
  expect(deferralOf({ kind: 'park', reason: why, key: 'k' })).toEqual({ state: 'parked', reason: why, key: 'k' })
  expect(deferralOf({ kind: 'discard', reason: why })).toEqual({ state: 'dead', reason: why })
})
