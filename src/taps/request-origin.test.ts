import { expect, test } from 'vitest'
import { correlatedBy, requestOrigin } from './request-origin.ts'

const traceparent = (traceId: string) => `00-${traceId}-00f067aa0ba902b7-01`

test('a trace id is a correlation, and the correlation of a trace of Tidings is itself', () => {
  expect(correlatedBy(traceparent('01a22d6386ca73858a8a0a5a4d782c52'))?.correlationid).toBe(
    '01a22d63-86ca-7385-8a8a-0a5a4d782c52',
  )
  expect(correlatedBy(traceparent('4bf92f3577b34da6a3ce929d0e0e4736'))?.correlationid).toBe(
    '4bf92f35-77b3-4da6-a3ce-929d0e0e4736',
  )
})

test('a random trace id does not claim to have been minted at a time', () => {
  expect(correlatedBy(traceparent('4bf92f3577b37da6a3ce929d0e0e4736'))?.correlationid).toBe(
    '4bf92f35-77b3-8da6-a3ce-929d0e0e4736',
  )
})

test('a header names a correlation as a UUID in any case, or by any text', () => {
  const of = (name: string) => requestOrigin({ 'x-tidings-correlation': name }, {}).correlationid
  expect(of('01A22D63-86CA-7385-8A8A-0A5A4D782C52')).toBe('01a22d63-86ca-7385-8a8a-0a5a4d782c52')
  const ofTenant = (tenant: string) =>
    requestOrigin({ 'x-tidings-correlation': 'order 7', 'x-tenant': tenant }, { tenantHeader: 'x-tenant' })
      .correlationid
  expect(new Set([of('order 7'), ofTenant('acme'), ofTenant('globex')]).size).toBe(3)
  expect([of('order 7'), of('order 7')]).toEqual([of('order 7'), expect.not.stringMatching(of('order 8'))])
})
