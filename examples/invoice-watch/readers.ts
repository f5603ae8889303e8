import { z } from 'zod'
import { exists, tool, workflow } from '../../src/index.ts'
import { invoiceReceived, paymentConfirmed } from './events.ts'

/* Convert input from outside to domain events: a file becomes `invoice.received`, a mail `payment.confirmed`. */

const lines = (text: string) =>
  new Map([...text.matchAll(/^([A-Z][a-z]+): *(.+?)\r?$/gm)].map(([, name, value]) => [name!.toLowerCase(), value!]))

const readInvoice = tool('invoice.read', {
  description: 'Reads the fields of an invoice: lines such as "Order: PO-7".',
  // The content of a file that is too large is not stored.
  input: z.object({ blob: z.string().optional(), path: z.string() }),
  readOnly: true,
  async run({ blob: reference, path }, { blob }) {
    if (reference === undefined) return {}
    const fields = lines(Buffer.from(await blob(reference)).toString())
    const found = {
      invoice: fields.get('invoice'),
      order: fields.get('order'),
      total: Number(fields.get('total')),
      file: path,
    }
    const read = await invoiceReceived.schema['~standard'].validate(found)
    return { invoice: read.issues ? undefined : read.value }
  },
})

const readPayment = tool('payment.read', {
  description: 'Finds in a mail of the bank the order and the amount that were paid.',
  input: z.object({ subject: z.string(), text: z.string() }),
  readOnly: true,
  run({ subject, text }): { payment?: { order: string; amount: number } } {
    const fields = lines(text)
    const order = fields.get('order')
    const amount = Number(fields.get('paid'))
    if (!/^payment confirmation\b/i.test(subject) || order === undefined || Number.isNaN(amount)) return {}
    return { payment: { order, amount } }
  },
})

const invoiceReader = workflow('invoice-reader', { on: ['file.created', 'file.changed'], within: '1d' })
  .call('read', readInvoice, s => ({ blob: s.event.blob, path: s.event.path }))
  .choose(
    s => exists(s.read.invoice),
    yes => yes.emit(invoiceReceived, s => s.read.invoice),
    no => no.emit('invoice.unreadable', s => ({ file: s.event.path })),
  )

const paymentReader = workflow('payment-reader', { on: 'email.received', within: '1d' })
  .call('read', readPayment, s => ({ subject: s.event.subject, text: s.event.text }))
  .choose(
    s => exists(s.read.payment),
    yes =>
      yes.emit(paymentConfirmed, s => ({
        order: s.read.payment.order,
        amount: s.read.payment.amount,
        by: s.event.from.address,
      })),
  )

export const readers = [invoiceReader, paymentReader, readInvoice, readPayment]
