import { createHmac, randomUUID } from 'node:crypto'

// Sends a signed order to this app, as another service would: node --env-file=.env send.ts '{"order":"A1","item":"lamp"}'
const body = process.argv[2] ?? '{"order":"A1","item":"lamp"}'
const id = randomUUID()
const timestamp = Math.floor(Date.now() / 1_000)
const key = Buffer.from(process.env.ORDERS_SECRET!.replace('whsec_', ''), 'base64')
const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')
const port = process.env.TIDINGS_WEBHOOK_PORT ?? 2580
const response = await fetch(`http://127.0.0.1:${port}/hooks/orders`, {
  method: 'POST',
  headers: {
    'content-type': 'application/json',
    'webhook-id': id,
    'webhook-timestamp': String(timestamp),
    'webhook-signature': `v1,${signature}`,
  },
  body,
})
console.log(response.status, await response.text())
