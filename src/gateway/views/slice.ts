import { Readable } from 'node:stream'
import { createGzip } from 'node:zlib'
import { Hono } from 'hono'
import { z } from 'zod'
import type { Bus } from '../../bus/bus.ts'
import { isCorrelation, isTaskId } from '../../bus/ids.ts'
import type { Selection } from '../../replay/selection.ts'
import { openSlice } from '../../replay/slice-write.ts'
import { sourceFromBus, type RecordedSource } from '../../replay/source.ts'
import { momentOf, exactlyOneOf, momentText } from '../../tasks/operation-request.ts'
import { turnType } from '../../tasks/turn.ts'
import type { GatewayDeps, GatewayEnv } from '../context.ts'
import { assertMay, type Principal } from '../identity/principal.ts'
import { readQuery } from './query.ts'

const sliceQuery = z
  .strictObject({
    correlation: z.string().refine(isCorrelation, 'must be the id of a correlation').optional(),
    task: z.string().refine(isTaskId, 'must be the id of a task').optional(),
    since: momentText.optional(),
    until: momentText.optional(),
  })
  .refine(...exactlyOneOf('correlation', 'task', 'since'))
  .refine(({ since, until }) => until === undefined || since !== undefined, 'until: needs since')

/** A part of the log as a file, which is replayed, imported, or looked at without a server. */
export function sliceRoutes({ bus }: GatewayDeps): Hono<GatewayEnv> {
  return new Hono<GatewayEnv>().get('/slice', async c => {
    const { principal } = c.var
    assertMay(principal, 'operate')
    // Turns contain what they got.
    assertMay(principal, 'read', turnType)
    const selection = selectionOf(readQuery(c, sliceQuery))
    const { text } = await openSlice(readable(bus, selection, principal), bus.redactor)
    const name = 'task' in selection ? selection.task : 'correlation' in selection ? selection.correlation : 'log'
    return c.body(Readable.toWeb(text.compose(createGzip())) as ReadableStream, 200, {
      'content-type': 'application/gzip',
      'content-disposition': `attachment; filename="${name}.jsonl.gz"`,
      'cache-control': 'no-store',
    })
  })
}

function selectionOf({ correlation, task, since, until }: z.output<typeof sliceQuery>): Selection {
  if (correlation !== undefined) return { correlation }
  if (task !== undefined) return { task }
  const now = Date.now()
  return { since: momentOf(since!, now), ...(until !== undefined && { until: momentOf(until, now) }) }
}

/** What the principal may read of a selection. */
function readable(bus: Bus, selection: Selection, principal: Principal): RecordedSource {
  const { events, document } = sourceFromBus(bus, selection)
  return {
    document,
    async *events() {
      for await (const stored of events())
        if (stored.event.tenant === principal.tenant && principal.may('read', stored.event.type)) yield stored
    },
  }
}
