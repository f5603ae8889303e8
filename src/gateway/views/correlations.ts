import { setImmediate } from 'node:timers/promises'
import { Hono } from 'hono'
import { z } from 'zod'
import type { Bus } from '../../bus/bus.ts'
import { beginning, isCovered, offsetsOf, readCursor } from '../../bus/cursor.ts'
import type { Cursor, LogEntry } from '../../bus/driver.ts'
import { isCorrelation } from '../../bus/ids.ts'
import { routedType } from '../../bus/routed.ts'
import { notOnLog } from '../../errors.ts'
import { feederOf, readLinked } from '../../tasks/links.ts'
import { turnType } from '../../tasks/turn.ts'
import type { GatewayDeps, GatewayEnv } from '../context.ts'
import { assertMay } from '../identity/principal.ts'
import { sendJson } from '../send-json.ts'
import { invalid, streamRequest } from '../streams/stream-request.ts'
import { StreamScope } from '../streams/stream-scope.ts'
import { cursor, limitUpTo, moment, readQuery } from './query.ts'
import { readerFor, rowsAt, rowsOf } from './rows.ts'

const correlationsQuery = z.strictObject({ since: moment, before: cursor, limit: limitUpTo(1_000, 100) })
const rowsQuery = z.strictObject({ after: cursor, limit: limitUpTo(50_000, 50_000) })
const batchRows = 256

/** Correlations, and all events of one as rows, which a trace is made of. */
export function correlationRoutes({ bus, index: { query } }: GatewayDeps): Hono<GatewayEnv> {
  return new Hono<GatewayEnv>()
    .get('/correlations', async c => {
      const { principal } = c.var
      assertMay(principal, 'read')
      const filter = readQuery(c, correlationsQuery)
      const { rows, next } = await query(each => each.actionList({ reader: readerFor(principal), ...filter }))
      const firsts = await rowsAt(
        bus,
        principal,
        rows.map(({ first }) => first),
      )
      const correlations = rows.map((row, i) => ({ ...row, first: firsts[i] }))
      return c.json({ correlations, ...(next !== undefined && { next }) })
    })
    .get('/correlations/:id/events', async c => {
      const { principal } = c.var
      assertMay(principal, 'read')
      const correlation = c.req.param('id')
      const isId: boolean = isCorrelation(correlation)
      if (!isId) throw invalid('correlation', 'must be a UUID in lower case')
      const { after, limit } = readQuery(c, rowsQuery)
      const start = after === undefined ? beginning : readCursor(after)
      offsetsOf(start, bus.partitions)
      const until = await bus.head()
      const scope = new StreamScope(streamRequest({ correlation, types: ['>', turnType] }), principal, bus)
      const batches = rowBatches(bus, scope, { after: start, until, limit })
      const { value: first } = await batches.next()
      if (after === undefined && first!.rows.length === 0)
        throw notOnLog(`no event of correlation ${correlation} is on the log`)
      return sendJson(c, bodyOf(first, batches, scope.textOf(until)))
    })
}

interface RowBatch {
  /** Rows as JSON, each with the cursor after it. */
  readonly rows: readonly string[]
  /** With the last batch: where the rest begins, if there is more than the limit. */
  readonly next?: string
}

interface RowRange {
  readonly after: Cursor
  readonly until: Cursor
  readonly limit: number
}

/** At least one batch. */
async function* rowBatches(bus: Bus, scope: StreamScope, { after, until, limit }: RowRange): AsyncGenerator<RowBatch> {
  const batch: LogEntry[] = []
  let last: LogEntry | undefined
  let left = limit
  const flush = async () => {
    const entries = batch.splice(0)
    const rows = await rowsOf(bus, entries)
    return rows.map((row, i) => JSON.stringify({ ...row, cursor: scope.textOf(entries[i]!.cursor) }))
  }
  for await (const entry of readLinked(bus, scope.request.correlation!, { after, until })) {
    if (entry.event.type === routedType) scope.link(entry.event, await feederOf(bus, entry.event))
    if (isCovered(after, entry.position) || !scope.includes(entry.event)) continue
    if (left-- === 0) return yield { rows: await flush(), next: scope.textOf(last!.cursor) }
    last = entry
    if (batch.push(entry) < batchRows) continue
    yield { rows: await flush() }
    await setImmediate()
  }
  yield { rows: await flush() }
}

/** One row a line, so that a client can use the first rows while the others arrive. */
async function* bodyOf(first: RowBatch, rest: AsyncIterable<RowBatch>, head: string): AsyncGenerator<string> {
  yield `{"head":${JSON.stringify(head)},"events":[\n${first.rows.join(',\n')}`
  let { next } = first
  let isFirst = first.rows.length === 0
  for await (const batch of rest) {
    if (batch.rows.length > 0) yield `${isFirst ? '' : ',\n'}${batch.rows.join(',\n')}`
    isFirst &&= batch.rows.length === 0
    next = batch.next
  }
  yield `\n]${next === undefined ? '' : `,"next":${JSON.stringify(next)}`}}`
}
