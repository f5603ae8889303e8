import { Hono } from 'hono'
import type { GatewayContext, GatewayDeps, GatewayEnv } from '../context.ts'
import { ApprovalService } from '../../tasks/approval-service.ts'
import { parseAnswer } from './approvals.ts'
import { readEvents, readJsonBody } from './body.ts'
import { eventPlan, publishEvents } from './publish.ts'
import { requestKeyOf } from './request.ts'

const maxAnswerBodyBytes = 64 * 1024

/** What writes to the log: events and the answers of people. */
export function commandRoutes({ bus, approvers, maxBodyBytes }: GatewayDeps): Hono<GatewayEnv> {
  const approvals = new ApprovalService(bus)
  const approverOf = ({ req, env }: GatewayContext) =>
    approvers.identify(req.header('authorization'), env.incoming.socket.remoteAddress ?? '')
  return new Hono<GatewayEnv>()
    .post('/events', async c => {
      const request = { caller: c.req.header('traceparent'), at: Date.now() }
      const events = await readEvents(c.env.incoming, maxBodyBytes)
      const { tenant } = c.var.principal
      const plan = await eventPlan(bus, tenant, events, requestKeyOf(c))
      if (plan.isRepeated) c.header('idempotency-replayed', 'true')
      const published = await publishEvents(bus, events, { ...request, plan })
      c.header('location', `events/stream?correlation=${published.correlationid}`)
      return c.json(published, 202)
    })
    .get('/approvals', async c => c.json({ approvals: await approvals.open(await approverOf(c)) }))
    .post('/approvals/:id', async c => {
      const by = await approverOf(c)
      const body = parseAnswer(await readJsonBody(c.env.incoming, maxAnswerBodyBytes))
      return c.json(await approvals.answer({ id: c.req.param('id'), by, source: '/gateway', ...body }))
    })
}
