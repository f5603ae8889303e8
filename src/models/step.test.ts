import { APICallError } from '@ai-sdk/provider'
import { expect, test } from 'vitest'
import { modelError } from './step.ts'

const refusal = (responseHeaders: Record<string, string>) =>
  modelError(
    new APICallError({
      message: 'busy',
      url: 'http://provider.test',
      requestBodyValues: {},
      statusCode: 429,
      isRetryable: true,
      responseHeaders,
    }),
  )

test.each([
  ['seconds', { 'retry-after': '7' }, 7_000],
  ['fractions of seconds', { 'retry-after': '0.25' }, 250],
  ['milliseconds, which are more exact', { 'retry-after-ms': '1234', 'retry-after': '2' }, 1_234],
  ['a date that has passed', { 'retry-after': 'Wed, 21 Oct 2015 07:28:00 GMT' }, 0],
  ['nothing that can be read', { 'retry-after': 'soon' }, undefined],
])('how long to leave a provider alone is given by %s', (_, headers, after) => {
  expect(refusal(headers as Record<string, string>).after).toBe(after)
})

test('a date in the future is a wait from now', () => {
  const { after } = refusal({ 'retry-after': new Date(Date.now() + 60_000).toUTCString() })
  expect(after).toBeGreaterThan(50_000)
  expect(after).toBeLessThanOrEqual(60_000)
})

test('a timeout and a lost connection are retried, and an answer that is a refusal is none of an outage', () => {
  expect(modelError(new DOMException('timed out', 'TimeoutError')).error.retryable).toBe(true)
  const reset = Object.assign(new Error('fetch failed'), { cause: Object.assign(new Error(), { code: 'ECONNRESET' }) })
  expect(modelError(reset).error.retryable).toBe(true)
  expect(modelError(new TypeError('a bug'))).toMatchObject({ error: { retryable: false }, isRefusal: false })
  const unauthorized = new APICallError({ message: 'no', url: '', requestBodyValues: {}, statusCode: 401 })
  expect(modelError(unauthorized)).toMatchObject({ error: { retryable: false }, isRefusal: true })
})
