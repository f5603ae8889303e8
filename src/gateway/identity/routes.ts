import { Hono } from 'hono'
import { httpError } from '../../http/response.ts'
import type { GatewayDeps, GatewayEnv } from '../context.ts'

/** `POST /tickets`: a ticket for one stream, for browsers, which cannot send a header with it. */
export function ticketRoutes({ identity }: GatewayDeps): Hono<GatewayEnv> {
  return new Hono<GatewayEnv>().post('/tickets', async c => {
    const issued = await identity?.ticketFor(c.var.principal)
    if (issued) return c.json(issued, 201)
    throw httpError(404, 'there are no tickets where a request needs no credential: open the stream without one', {
      code: 'E_NOT_FOUND',
      next: 'Leave out the parameter `ticket`. With TIDINGS_POLICY set, POST /tickets issues tickets.',
    })
  })
}
