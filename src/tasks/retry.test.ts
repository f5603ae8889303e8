import { describe, expect, test } from 'vitest'
import { createEvent } from '../event.ts'
import { TidingsError } from '../errors.ts'
import { aRetry, RetryPolicy, type RetryOptions } from './retry.ts'

const call = createEvent({ type: 'tool.invoke', data: null })
const failed = (failures: number) => ({ failures, holds: 0, since: Date.now(), began: Date.now(), now: Date.now })
const next = (options: RetryOptions, failures = 1, error: unknown = new Error('no'), after = 0) =>
  new RetryPolicy(options).next(call, failed(failures), error, after)

test('delays grow by the factor up to the maximum, and a share of each is random', () => {
  const exact = { backoff: '100ms', factor: 3, maxBackoff: '1s', jitter: 0 } as const
  expect([1, 2, 3, 4].map(n => next(exact, n).after)).toEqual([100, 300, 900, 1_000])
  const random = Array.from({ length: 100 }, () => next({ ...exact, jitter: 0.2 }).after!)
  expect(Math.min(...random)).toBeGreaterThanOrEqual(80)
  expect(Math.max(...random)).toBeLessThanOrEqual(100)
  expect(new Set(random).size).toBeGreaterThan(1)
})

test('a longer delay that a provider asks for takes precedence', () => {
  expect(next({ jitter: 0 }, 1, undefined, 90_000).after).toBe(90_000)
  expect(next({ jitter: 0 }, 1, undefined, 1).after).toBe(200)
})

test('no attempt is made beyond maxAttempts, retryFor or the deadline of the call', () => {
  expect(next({ maxAttempts: 3 }, 2).after).toBeGreaterThan(0)
  expect(next({ maxAttempts: 3 }, 3)).toEqual({ over: 'maxAttempts is 3' })
  expect(next({ maxAttempts: 1 })).toEqual({})
  expect(next({ retryFor: '100ms', jitter: 0 })).toEqual({ over: 'retryFor is 0.1s' })
  const urgent = { ...call, deadline: new Date(Date.now() + 100).toISOString() }
  expect(new RetryPolicy({ jitter: 0 }).next(urgent, failed(1), new Error('no'))).toEqual({
    over: 'the deadline of the call is before the next attempt',
  })
})

describe('an error is not retried', () => {
  class Gone extends Error {}
  const coded = Object.assign(new Error('no'), { code: 'ENOENT' })
  test.each([
    ['by its class', [Gone], new Gone('no')],
    ['by its name', ['TypeError'], new TypeError('no')],
    ['by its code', ['ENOENT'], coded],
    ['by its status', [402], Object.assign(new Error('no'), { statusCode: 402 })],
    ['by its cause', ['ENOENT'], new Error('no', { cause: coded })],
    [
      'by the code that an error of ours keeps',
      ['ENOENT'],
      new TidingsError('E_TOOL_THREW', '', { originalCode: 'ENOENT' }),
    ],
  ])('%s', (_, nonRetryable, error) => {
    expect(next({ nonRetryable }, 1, error)).toEqual({})
    expect(next({ nonRetryable }, 1, new RangeError('busy')).after).toBeGreaterThan(0)
  })
})

test.each([
  { maxAttempts: 0 },
  { maxAttempts: 1.5 },
  { factor: 0.5 },
  { jitter: 2 },
  { backoff: 'soon' },
  { nonRetryable: [null] },
])('%o is refused by name', options => {
  expect(aRetry(options)).toMatch(`the option "${Object.keys(options)[0]}" must be`)
})
