import { z } from 'zod'
import { event } from '../../src/index.ts'

/* The events of an order. All three carry its number, which is the key of an instance. */

export const orderPlaced = event(
  'order.placed',
  z.object({ order: z.string(), supplier: z.string(), total: z.number() }),
)

export const invoiceReceived = event(
  'invoice.received',
  z.object({ invoice: z.string(), order: z.string(), total: z.number(), file: z.string() }),
)

export const paymentConfirmed = event(
  'payment.confirmed',
  z.object({ order: z.string(), amount: z.number(), by: z.string() }),
)
