import { mkdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { app, files, smtp, webhook, type Duration } from '../../src/index.ts'
import { orderPlaced } from './events.ts'
import { readers } from './readers.ts'
import { watch } from './watch.ts'

const { INVOICES = 'invoices', ORDERS_SECRET, PAPERS_WITHIN = '7d', PAYMENT_WITHIN = '14d' } = process.env

const folder = resolve(INVOICES)
mkdirSync(folder, { recursive: true })

export default app({
  name: 'invoice-watch',
  use: [
    watch({ papers: PAPERS_WITHIN as Duration, payment: PAYMENT_WITHIN as Duration }),
    ...readers,
    files('invoices', { folder, match: '*.txt', stable: '200ms' }),
    webhook({ endpoints: { orders: { secret: ORDERS_SECRET, publishes: [orderPlaced], others: 'ignore' } } }),
    smtp(),
  ],
})
