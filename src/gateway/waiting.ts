import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TidingsError } from '../errors.ts'
import { answerFor, headersFor } from './answers.ts'
import { portInUse } from './gateway.ts'
import { guard } from './guard.ts'
import { unhealthy } from './health.ts'

const nobody = { hosts: new Set<string>(), origins: new Set<string>() }

/**
 * Stands in for the gateway while there is no log: says on `/health`, and to whoever wants anything else, what is waited
 * for. @throws E_PORT_IN_USE
 */
export async function startWaiting(bus: string, port: number, problem: () => TidingsError) {
  const server = createServer(({ url = '', headers }, response) => {
    const { status, body } = answerTo(url, headers.host, headers.origin)
    response.writeHead(status, { 'content-type': 'application/json', ...headersFor(status), connection: 'close' })
    response.end(JSON.stringify(body))
  })
  const answerTo = (url: string, host: string | undefined, origin: string | undefined) => {
    try {
      guard(nobody, host, origin)
      if (url.split('?')[0] === '/health') return { status: 503, body: unhealthy(bus, problem()) }
      throw problem()
    } catch (error) {
      return answerFor(error)
    }
  }
  try {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
  } catch (error) {
    throw portInUse(port, error)
  }
  server.on('error', error => process.emitWarning(error))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async stop(): Promise<void> {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}
