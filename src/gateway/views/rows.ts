import type { Bus } from '../../bus/bus.ts'
import type { Position, StoredEvent } from '../../bus/driver.ts'
import type { CloudEvent } from '../../event.ts'
import { withData } from '../../trace/index/events.ts'
import type { IndexReader } from '../../trace/index/rows.ts'
import { type Row, slim } from '../../trace/slim.ts'
import { needsData } from '../../trace/trace.ts'
import type { Principal } from '../identity/principal.ts'

/** Whether a principal may see an event: of their tenant, and of a type that they may read. */
export const isVisibleTo =
  (principal: Principal) =>
  ({ tenant, type }: CloudEvent): boolean =>
    tenant === principal.tenant && principal.may('read', type)

/** The index for a principal: it lists only what they may see. */
export const readerFor = (principal: Principal): IndexReader => ({
  tenant: principal.tenant,
  mayRead: type => principal.may('read', type),
})

/** Events as rows, in the same order. */
export async function rowsOf(bus: Bus, events: readonly StoredEvent[]): Promise<Row[]> {
  return (await withData(bus, events, needsData)).map(({ event }) => slim(event))
}

/** What a principal sees of the events at these positions; undefined where there is none, or none for them. */
export async function rowsAt(
  bus: Bus,
  principal: Principal,
  positions: readonly Position[],
): Promise<(Row | undefined)[]> {
  const isVisible = isVisibleTo(principal)
  const found = (await bus.readAt(positions)).map(stored => (stored && isVisible(stored.event) ? stored : undefined))
  const rows = await rowsOf(
    bus,
    found.filter(stored => stored !== undefined),
  )
  return found.map(stored => stored && rows.shift())
}
