import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { app } from '../../src/runtime/app.ts'
import { start } from '../../src/runtime/start.ts'
import { strangler } from '../../src/runtime/strangler.ts'
import { serving } from '../lib/serving.ts'
import { quoteOptions, quoterWith, type Planted } from './app.ts'

/* The server of a company, with the old code and its candidate: `node server.ts HOME BUS PLANTED`. It ends when its parent disconnects. */

const [home, bus, planted] = process.argv.slice(2) as [string, string, Planted]
const running = await start(app({ name: planted, use: [quoterWith(planted)] }), { home, bus, only: ['agents'] })
const quotes = strangler(planted, { ...quoteOptions, log: running })
await quotes.open()
const server = createServer(
  serving(async ({ url = '' }, response) => {
    const quote = await quotes.run(Number(url.slice(1)))
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(quote))
  }),
)
server.keepAliveTimeout = 300_000
await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
process.send?.((server.address() as AddressInfo).port)
process.on('disconnect', () => {
  server.close()
  server.closeAllConnections()
  void quotes
    .close()
    .then(() => running.stop())
    .finally(() => process.exit())
})
