import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import { Hono } from 'hono'
import type { GatewayDeps, GatewayEnv } from '../context.ts'
import { readStreamRequest } from './stream-request.ts'

/** Events of the log as they happen. */
export function streamRoutes({ streams }: GatewayDeps): Hono<GatewayEnv> {
  return new Hono<GatewayEnv>().get('/events/stream', async (c, next) => {
    // Hono answers HEAD by the route of GET, and this one would never end.
    if (c.env.incoming.method !== 'GET') return next()
    await streams.open(readStreamRequest(c.req.queries(), c.req.header('last-event-id')), c.env.outgoing)
    return RESPONSE_ALREADY_SENT
  })
}
