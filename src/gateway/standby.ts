import { createServer } from 'node:http'
import type { TidingsError } from '../errors.ts'
import { listen } from '../http/listen.ts'
import { errorResponse, send } from '../http/response.ts'
import { portSetting } from './gateway.ts'
import { assertAllowed } from './identity/origin-policy.ts'
import { unhealthy } from './health.ts'

const loopbackOnly = { hosts: new Set<string>(), origins: new Set<string>() }

/**
 * Listens in place of the gateway until the log can be opened, and answers `/health` and all other requests with the
 * reason for the wait. @throws E_PORT_IN_USE
 */
export async function startStandby(bus: string, port: number, problem: () => TidingsError) {
  const respondTo = (url: string, host: string | undefined, origin: string | undefined) => {
    try {
      assertAllowed(loopbackOnly, host, origin)
      const response = errorResponse(problem())
      return url.split('?')[0] === '/health' ? { ...response, status: 503, body: unhealthy(bus, problem()) } : response
    } catch (error) {
      return errorResponse(error)
    }
  }
  const server = createServer(({ url = '', headers }, outgoing) => {
    const response = respondTo(url, headers.host, headers.origin)
    send(outgoing, { ...response, headers: { ...response.headers, connection: 'close' } })
  })
  const listener = await listen(server, { ...portSetting, port, host: '127.0.0.1' })
  return { url: listener.url, stop: () => listener.stop(AbortSignal.abort()) }
}
