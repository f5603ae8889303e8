import { expect, test } from 'vitest'
import { z } from 'zod'
import { checkedData, event, parsedData } from './event.ts'

const paid = event(
  'order.paid',
  z.object({
    order: z.string(),
    lines: z.array(z.object({ cents: z.coerce.number() })),
    note: z.string().default('none'),
  }),
)
const order = { order: 'o-1', lines: [{ cents: '12' }] }

test('what is published is the data as given; what a reader gets is what the schema makes of it', () => {
  expect(checkedData(paid, order)).toEqual(order)
  expect(parsedData(paid, order)).toEqual({ order: 'o-1', lines: [{ cents: 12 }], note: 'none' })
})

test('data that does not match is refused with the type and the path of the first fault', () => {
  const wrong = { order: 'o-1', lines: [{ cents: 1 }, { cents: 'x' }] }
  const refusal = {
    code: 'E_EVENT_INVALID',
    message: /^the data of "order.paid" does not match its schema: lines\.1\.cents: /,
  }
  const thrown = (run: () => unknown) => {
    try {
      return run()
    } catch (error) {
      return error
    }
  }
  for (const refused of [() => checkedData(paid, wrong), () => parsedData(paid, wrong)])
    expect(thrown(refused)).toMatchObject({ ...refusal, message: expect.stringMatching(refusal.message) })
  const asynchronous = event(
    'order.paid',
    z.string().refine(async () => true),
  )
  expect(thrown(() => checkedData(asynchronous, 'x'))).toMatchObject({ code: 'E_APP_INVALID' })
  const throwing = event(
    'order.paid',
    z.string().transform(() => {
      throw new Error('no')
    }),
  )
  expect(thrown(() => checkedData(throwing, 'x'))).toMatchObject({ code: 'E_APP_INVALID' })
})

test('a schema that no JSON value can match is refused where it is declared', () => {
  expect(() => event('order.paid', z.object({ at: z.date() }))).toThrow(/at: z\.date\(\): data on the log is JSON/)
  expect(() => event('Order Paid', z.string())).toThrow(/is not an event type/)
})
