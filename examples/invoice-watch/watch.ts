import { absent, all, any, by, exists, is, not, on, text, workflow, type Duration } from '../../src/index.ts'
import { invoiceReceived, orderPlaced, paymentConfirmed } from './events.ts'

export interface Timeouts {
  /** How long the order and the invoice wait for each other. */
  papers: Duration
  /** How long to wait for a payment before a reminder; three times. */
  payment: Duration
}

/**
 * The order comes by webhook, the invoice as a file, the payment by mail, in any sequence. The number of the order joins them.
 */
export const watch = ({ papers, payment }: Timeouts) =>
  workflow('invoice-watch', {
    key: [by(orderPlaced, o => o.order), by(invoiceReceived, i => i.order), by(paymentConfirmed, p => p.order)],
    within: '90d',
  })
    .when('papers', all(on(orderPlaced).as('order'), on(invoiceReceived).as('invoice')), {
      within: papers,
      otherwise: missing =>
        missing
          .emit('papers.missing', s => ({ order: s.order, invoice: s.invoice }))
          .fail(() => 'the order and the invoice have not both come'),
    })
    .choose(
      s => not(is(s.order.total, s.invoice.total)),
      disputed =>
        disputed
          .emit('invoice.disputed', s => ({ order: s.order.order, ordered: s.order.total, invoiced: s.invoice.total }))
          .fail(s => text`${s.invoice.invoice} is about ${s.invoice.total}, and ${s.order.total} was ordered`),
    )
    .repeat(
      'chase',
      round =>
        round
          .when('payment', any(on(paymentConfirmed).as('payment'), absent(on(paymentConfirmed), payment)), {
            within: 'forever',
          })
          .choose(
            s => not(exists(s.payment)),
            late => late.emit('payment.chased', s => ({ order: s.order.order, supplier: s.order.supplier })),
          ),
      { until: s => exists(s.payment), maxRounds: 3 },
    )
    .choose(
      s => exists(s.payment),
      paid =>
        paid.emit('invoice.settled', s => ({ order: s.order.order, invoice: s.invoice.invoice, by: s.payment.by })),
      unpaid => unpaid.fail(s => text`${s.invoice.invoice} was chased three times and is not paid`),
    )
