import { Hono } from 'hono'
import { z } from 'zod'
import { compactCursor } from '../../bus/cursor.ts'
import { isCorrelation, isTaskId } from '../../bus/ids.ts'
import { notOnLog } from '../../errors.ts'
import type { StoredEvent } from '../../bus/driver.ts'
import { whyRecords } from '../../trace/why-records.ts'
import { whyOf } from '../../trace/why.ts'
import type { GatewayContext, GatewayDeps, GatewayEnv } from '../context.ts'
import { assertMay } from '../identity/principal.ts'
import { withoutStacks } from '../without-stacks.ts'
import { boundedEvent } from './bounded.ts'
import { cursor, limitUpTo, moment, readQuery, searchText, shortText, types } from './query.ts'
import { isVisibleTo, readerFor, rowsAt } from './rows.ts'

const eventsQuery = z.strictObject({
  type: types,
  source: shortText,
  user: shortText,
  task: z.string().refine(isTaskId, 'must be the id of a task').optional(),
  correlation: z.string().refine(isCorrelation, 'must be a UUID in lower case').optional(),
  text: searchText,
  failed: z.literal('1').optional(),
  unanswered: shortText,
  since: moment,
  until: moment,
  before: cursor,
  limit: limitUpTo(1_000, 200),
})

/** Events of the past: a list of rows, newest first, and one with all its data. */
export function eventRoutes({ bus, index: { query } }: GatewayDeps): Hono<GatewayEnv> {
  const find = async (c: GatewayContext): Promise<StoredEvent> => {
    const id = c.req.param('id')!
    const position = await query(each => each.positionOf(id))
    const [stored] = position ? await bus.readAt([position]) : []
    if (stored?.event.id === id && isVisibleTo(c.var.principal)(stored.event))
      return { ...stored, event: withoutStacks(await bus.resolveIfStored(stored.event)) }
    throw notOnLog(`the log has no event ${id.slice(0, 256)}`)
  }
  return new Hono<GatewayEnv>()
    .get('/events', async c => {
      const { principal } = c.var
      assertMay(principal, 'read')
      const { type, failed, before, limit, ...filter } = readQuery(c, eventsQuery)
      const { page, head } = await query(async each => ({
        head: each.head,
        page: await each.events(
          readerFor(principal),
          { ...filter, types: type, failed: failed !== undefined },
          { before, limit },
        ),
      }))
      const rows = await rowsAt(
        bus,
        principal,
        page.events.map(({ position }) => position),
      )
      const events = page.events.flatMap(({ cursor: place }, i) => (rows[i] ? [{ ...rows[i], cursor: place }] : []))
      return c.json({ events, ...(page.next !== undefined && { next: page.next }), head: compactCursor(head) })
    })
    .get('/events/:id', async c => {
      const { position, event } = await find(c)
      return c.json({ position, ...boundedEvent(event) })
    })
    .get('/events/:id/data', async c => {
      const { event } = await find(c)
      const name = event.id.replaceAll(/[^\w.-]/g, '_')
      c.header('content-disposition', `attachment; filename="${name}.json"`)
      return c.json(event.data)
    })
    .get('/events/:id/why', async c => {
      const { position } = await find(c)
      const why = await query(each => whyOf(bus, each, position, isVisibleTo(c.var.principal)))
      return c.json([...whyRecords(why)])
    })
}
