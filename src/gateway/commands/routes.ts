import { Hono } from 'hono'
import type { GatewayDeps, GatewayEnv } from '../context.ts'
import { ApprovalService } from '../../tasks/approval-service.ts'
import { assertMayAnswer, earlierDecision, mayAnswer, parseAnswer, personOf } from './approvals.ts'
import { readEvents, readJsonBody } from './body.ts'
import { admitEvents, eventPlan, publishEvents } from './publish.ts'
import { requestKeyOf } from './request.ts'

const maxAnswerBodyBytes = 64 * 1024

/** What writes to the log: events and the answers of people. */
export function commandRoutes({ bus, maxBodyBytes }: GatewayDeps): Hono<GatewayEnv> {
  const approvals = new ApprovalService(bus)
  return new Hono<GatewayEnv>()
    .post('/events', async c => {
      const request = { caller: c.req.header('traceparent'), at: Date.now() }
      const events = await readEvents(c.env.incoming, maxBodyBytes)
      const { principal } = c.var
      const drafts = await admitEvents(bus, events, principal)
      const plan = await eventPlan(bus, principal, events, requestKeyOf(c))
      if (plan.isRepeated) c.header('idempotency-replayed', 'true')
      const published = await publishEvents(bus, drafts, { ...request, plan })
      c.header('location', `events/stream?correlation=${published.correlationid}`)
      return c.json(published, 202)
    })
    .get('/approvals', async c => {
      const { principal } = c.var
      return c.json({ approvals: await approvals.open(personOf(principal), mayAnswer(principal)) })
    })
    .post('/approvals/:id', async c => {
      const { principal } = c.var
      const id = c.req.param('id')
      const by = personOf(principal)
      const body = parseAnswer(await readJsonBody(c.env.incoming, maxAnswerBodyBytes))
      await assertMayAnswer(bus, principal, id)
      const key = requestKeyOf(c)
      const answered = await approvals.answer({ id, by, source: '/gateway', ...body }).catch((error: unknown) => {
        const first = key === undefined ? undefined : earlierDecision(error, id)
        if (first?.by !== by || first.decision !== body.decision) throw error
        c.header('idempotency-replayed', 'true')
        return first
      })
      return c.json(answered)
    })
}
