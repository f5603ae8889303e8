import type { Bus } from '../bus/bus.ts'
import { cursorAt } from '../bus/cursor-at.ts'
import { readByTime } from '../bus/read-by-time.ts'
import type { Cursor, StoredEvent } from '../bus/driver.ts'
import { mintedAt } from '../bus/ids.ts'

/**
 * A part of a log. A period (ms since the epoch) selects every correlation with an event in it, and the whole of that correlation,
 * because a task can only be replayed from its first turn.
 */
export type Selection =
  | { readonly task: string }
  | { readonly correlation: string }
  | { readonly since: number; readonly until?: number }
  | { readonly all: true }

/** Maximum difference between the clocks that mint ids and those that stamp events. */
const clockSkewMs = 60_000

/** The selected events in the order of {@link readByTime}, up to the current head. */
export async function* readSelection(bus: Bus, selection: Selection): AsyncGenerator<StoredEvent> {
  const head = await bus.head()
  if ('since' in selection) yield* selectSince(bus, selection.since, selection.until ?? Infinity, head)
  else yield* 'all' in selection ? readByTime(bus, { until: head }) : bus.read(selection)
}

/** Reads the period to find its correlations, then reads all their events, from the time at which the oldest id was minted. */
async function* selectSince(bus: Bus, since: number, until: number, head: Cursor): AsyncGenerator<StoredEvent> {
  const wanted = new Set<string>()
  let oldest = since
  const from = await cursorAt(bus, since - clockSkewMs, head)
  const to = await cursorAt(bus, until + clockSkewMs + 1, head)
  for await (const { event } of bus.read({ after: from, until: to })) {
    const at = Date.parse(event.time)
    if (at < since || at > until || wanted.has(event.correlationid)) continue
    wanted.add(event.correlationid)
    oldest = Math.min(oldest, mintedAt(event.correlationid) ?? 0)
  }
  if (wanted.size === 0) return
  const first = await cursorAt(bus, oldest - clockSkewMs, head)
  for await (const stored of readByTime(bus, { after: first, until: head }))
    if (wanted.has(stored.event.correlationid)) yield stored
}
