import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { connect } from '../../src/runtime/connect.ts'
import { start } from '../../src/runtime/start.ts'
import { strangler } from '../../src/runtime/strangler.ts'
import { CallError } from '../../src/tasks/script.ts'
import { reportOptions, strangledName, writing, type ReportRequest } from './app.ts'
import { serving } from '../lib/serving.ts'

/* One process of the trial: `node host.ts worker|server HOME BUS`. It ends when its parent disconnects. */

const [role, home, bus] = process.argv.slice(2) as ['worker' | 'server', string, string]

const stop = role === 'worker' ? await runWorker() : await runServer()
process.on('disconnect', () => void stop().finally(() => process.exit()))

async function runWorker(): Promise<() => Promise<void>> {
  const running = await start(writing, { home, bus, only: ['agents', 'tools'] })
  process.send?.('ready')
  return () => running.stop()
}

/** The server of a company: its old handler is behind the strangler. */
async function runServer(): Promise<() => Promise<void>> {
  const reports = strangler(strangledName, { ...reportOptions, log: () => connect(bus, { home }) })
  await reports.open()
  const server = createServer(
    serving(async (request, response) => {
      const answer = (status: number, body: unknown) => {
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
      }
      if (request.method === 'GET') return answer(200, reports.state.version)
      try {
        answer(200, await reports.run((await json(request)) as ReportRequest))
      } catch (error) {
        answer(500, { error: error instanceof CallError ? error.code : String((error as { code?: string }).code) })
      }
    }),
  )
  // A client may reuse a connection at the moment when the server closes it, and could not tell that from a lost request.
  server.keepAliveTimeout = 300_000
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  process.send?.((server.address() as AddressInfo).port)
  return async () => {
    const closed = new Promise(resolve => server.close(resolve))
    server.closeIdleConnections()
    await closed
    await reports.close()
  }
}
