import type { Bus } from '../bus/bus.ts'
import { beginning, isCursor, offsetsOf, readCursor } from '../bus/cursor.ts'
import type { Cursor } from '../bus/driver.ts'
import { followByTime } from '../bus/read-by-time.ts'
import type { CloudEvent } from '../event.ts'
import { cursorAt } from '../bus/cursor-at.ts'
import { namesTurns, turnType } from '../tasks/turn.ts'
import { eventLine, terminalWidth } from './event-line.ts'
import { resolveCorrelation, withLog } from './log.ts'
import { print, shutdownSignal, type GlobalOptions } from './output.ts'
import { assertTypePatterns, parseTime } from './selection.ts'

export interface TailOptions extends GlobalOptions {
  type?: string[]
  correlation?: string
  since?: string
  turns?: boolean
}

export function tailCommand(options: TailOptions): Promise<void> {
  const shutdown = shutdownSignal()
  assertTypePatterns(options.type)
  // Before the log is opened, which creates it.
  const start = parseStart(options.since)
  return withLog(async bus => {
    const { correlation } = options
    const resolved = correlation !== undefined && { correlation: await resolveCorrelation(bus, correlation) }
    await printEvents(bus, await startCursor(bus, start), { ...options, ...resolved }, shutdown)
  })
}

/** Prints the events after a cursor, until the signal aborts. `more`: further lines below an event, without --json. */
export async function printEvents(
  bus: Bus,
  after: Cursor,
  options: TailOptions,
  signal: AbortSignal,
  more: (event: CloudEvent) => readonly string[] | Promise<readonly string[]> = () => [],
): Promise<void> {
  const { type: types, correlation, json } = options
  const filter = types && [{ types }]
  const showsTurns = options.turns || namesTurns(types ?? [])
  for await (const entry of followByTime(bus, after, filter, signal)) {
    if (correlation !== undefined && entry.event.correlationid !== correlation) continue
    if (!showsTurns && entry.event.type === turnType) continue
    // The blob of an old event may be purged; print the event without data.
    if (json) {
      const { cursor, event } = entry
      await print(JSON.stringify({ cursor, event: await bus.resolve(event).catch(() => event) }))
    } else await print([eventLine(entry.event, terminalWidth()), ...(await more(entry.event))].join('\n'))
  }
}

/** A cursor, or a time in ms since the epoch. @throws E_USAGE */
function parseStart(since: string | undefined): Cursor | number | undefined {
  if (since === undefined) return undefined
  if (since === 'beginning') return beginning
  return isCursor(since) ? readCursor(since) : parseTime(since, ', a cursor or "beginning"')
}

async function startCursor(bus: Bus, start: Cursor | number | undefined): Promise<Cursor> {
  if (start === undefined) return bus.head()
  if (typeof start === 'number') return cursorAt(bus, start, await bus.head())
  if (start !== beginning) offsetsOf(start, bus.partitions)
  return start
}
