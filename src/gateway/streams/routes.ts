import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import { Hono } from 'hono'
import { httpError } from '../../http/response.ts'
import type { GatewayDeps, GatewayEnv } from '../context.ts'
import { SseTransport } from './sse-transport.ts'
import { invalid, readStreamRequest, singleValue } from './stream-request.ts'

/** Events of the log as they happen: server-sent events, or a WebSocket. */
export function streamRoutes({ streams }: GatewayDeps): Hono<GatewayEnv> {
  return new Hono<GatewayEnv>()
    .get('/events/stream', async c => {
      const { as, ...query } = c.req.queries()
      const request = readStreamRequest(query, c.req.header('last-event-id'))
      const transport = new SseTransport(c.env.outgoing, formatOf(singleValue('as', as)))
      await streams.open(request, c.get('principal'), transport)
      return RESPONSE_ALREADY_SENT
    })
    .get('/events/socket', async c => {
      const socket = await streams.upgrades.accept(c.env.incoming)
      if (!socket) throw httpError(426, noSocket, { next: 'Read GET /events/stream, which sends the same.' })
      // A browser cannot read the answer to a request that was refused, so errors are messages.
      try {
        await streams.open(readStreamRequest(c.req.queries(), undefined), c.get('principal'), socket)
      } catch (error) {
        socket.end(streams.endingOf(error))
      }
      return RESPONSE_ALREADY_SENT
    })
}

const noSocket = '/events/socket speaks WebSocket, which a gateway on a port of its own offers, and only that'

function formatOf(as: string | undefined): 'event' | 'message' {
  if (as !== undefined && as !== 'message') throw invalid('as', 'must be "message" or absent')
  return as ?? 'event'
}
