import { above, app, by, event, on, text, tool, workflow } from 'tidings'
import { z } from 'zod'

export const placed = event('order.placed', z.object({ order: z.string(), mail: z.string(), total: z.number() }))
export const paid = event('order.paid', z.object({ order: z.string() }))

// Sends nothing yet: call your mail service here.
const send = tool('mail.send', {
  description: 'Sends a mail',
  input: z.object({ to: z.string(), text: z.string() }),
  run: mail => {
    console.log(`mail to ${mail.to}: ${mail.text}`)
    return { sent: true }
  },
})

// One instance for each order. It survives restarts, and waits as long as it takes.
export const order = workflow('order', {
  key: [by(placed, o => o.order), by(paid, p => p.order)],
  within: '60d',
})
  .when('placed', on(placed).as('order'), { within: '1d' })
  .choose(
    s => above(s.order.total, 1_000),
    large => large.approve('check', s => ({ order: s.order.order, total: s.order.total }), { within: '2d' }),
  )
  .when('payment', on(paid), {
    within: '14d',
    otherwise: late =>
      late
        .call('reminder', send, s => ({ to: s.order.mail, text: text`Please pay order ${s.order.order}.` }))
        .when('late', on(paid), { within: '14d' }),
  })
  .emit('order.shipped', s => ({ order: s.order.order }))
  .complete(s => s.order.total)

export default app({ use: [order, send] })
