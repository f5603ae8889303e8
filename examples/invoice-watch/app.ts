import { mkdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { app, duration, files, smtp, webhook } from '../../src/index.ts'
import { orderPlaced } from './events.ts'
import { readers } from './readers.ts'
import { watch } from './watch.ts'

const { INVOICES = 'invoices', ORDERS_SECRET, PAPERS_WITHIN = '7d', PAYMENT_WITHIN = '14d' } = process.env

const folder = resolve(INVOICES)
mkdirSync(folder, { recursive: true })

export default app({
  name: 'invoice-watch',
  use: [
    watch({ papers: duration(PAPERS_WITHIN, 'PAPERS_WITHIN'), payment: duration(PAYMENT_WITHIN, 'PAYMENT_WITHIN') }),
    ...readers,
    files('invoices', { folder, match: '*.txt', stable: '200ms' }),
    webhook({ endpoints: { orders: { secret: ORDERS_SECRET, publishes: [orderPlaced], others: 'ignore' } } }),
    smtp(),
  ],
})
