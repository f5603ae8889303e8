import type { Bus } from '../../bus/bus.ts'
import type { Position, StoredEvent } from '../../bus/driver.ts'
import { hasBlobData } from '../../bus/routed.ts'
import type { CloudEvent } from '../../event.ts'

const blobsAtOnce = 16

/** The events at these positions that are still on the log. */
export async function eventsAt(bus: Bus, positions: readonly Position[]): Promise<StoredEvent[]> {
  return (await bus.readAt(positions)).filter(stored => stored !== undefined)
}

/** Adds the data of blobs to the events that need it, if the blob still exists. */
export async function withData<T extends StoredEvent>(
  bus: Bus,
  events: readonly T[],
  isNeeded: (event: CloudEvent) => boolean = () => true,
): Promise<T[]> {
  const resolved = [...events]
  const large = events.flatMap(({ event }, i) => (hasBlobData(event) && isNeeded(event) ? [i] : []))
  for (let from = 0; from < large.length; from += blobsAtOnce)
    await Promise.all(
      large.slice(from, from + blobsAtOnce).map(async i => {
        const { event } = events[i]!
        resolved[i] = { ...events[i]!, event: await bus.resolve(event).catch(() => event) }
      }),
    )
  return resolved
}
