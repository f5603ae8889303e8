import { Hono } from 'hono'
import { isCorrelation } from '../../bus/ids.ts'
import { notOnLog, TidingsError } from '../../errors.ts'
import type { Index } from '../../trace/index/lookup.ts'
import type { GatewayDeps, GatewayEnv } from '../context.ts'
import { assertMay, type Principal } from '../identity/principal.ts'
import { rowsAt } from './rows.ts'

/** What an id, or the end of one, names. */
export function findRoutes({ bus, index: { query } }: GatewayDeps): Hono<GatewayEnv> {
  return new Hono<GatewayEnv>().get('/find/:id', async c => {
    const { principal } = c.var
    assertMay(principal, 'read')
    const id = c.req.param('id').slice(0, 512)
    const isWhole: boolean = isCorrelation(id)
    if (isWhole) return c.json({ correlation: id })
    const meant = await query(index => named(() => index.taskOrEvent(id)))
    if (meant && 'task' in meant && (await query(index => isTaskOf(index, meant.task, principal)))) return c.json(meant)
    const [event] = meant && 'event' in meant ? await rowsAt(bus, principal, [meant.event]) : []
    if (event) return c.json({ event: event.id, correlation: event.correlationid })
    const correlation = await query(index => named(() => index.correlation(id)))
    if (correlation !== undefined && (await query(index => isCorrelationOf(index, correlation, principal))))
      return c.json({ correlation })
    throw notOnLog(`no event, task or correlation has the id "${id}", or several ids end with it`)
  })
}

/** Candidates for an id that is ambiguous may be those of other tenants, so they are not shown. */
function named<T>(find: () => T): T | undefined {
  try {
    return find()
  } catch (error) {
    if (error instanceof TidingsError) return undefined
    throw error
  }
}

const isTaskOf = (index: Index, task: string, { tenant }: Principal) =>
  index.taskList({ task, tenant, limit: 1 }).rows.length > 0

const isCorrelationOf = async (index: Index, correlation: string, principal: Principal) => {
  const reader = { tenant: principal.tenant, mayRead: (type: string) => principal.may('read', type) }
  return (await index.events(reader, { correlation }, { limit: 1 })).events.length > 0
}
