import { app } from '../../src/runtime/app.ts'
import { start } from '../../src/runtime/start.ts'
import { order, orders } from './order.ts'

/* A worker that is killed: `node order-child.ts PLACE`, where the log is, as JSON. */

process.on('disconnect', () => process.exit())
const place = JSON.parse(process.argv[2]!) as { home: string; bus: string }
await start(app({ name: 'test', use: [order, orders] }), { ...place, only: ['agents', 'tools'] })
process.send?.('ready')
