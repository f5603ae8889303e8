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
export async function withData(
  bus: Bus,
  events: readonly StoredEvent[],
  isNeeded: (event: CloudEvent) => boolean = () => true,
): Promise<StoredEvent[]> {
  const resolved = [...events]
  const large = events.flatMap(({ event }, i) => (hasBlobData(event) && isNeeded(event) ? [i] : []))
  for (let from = 0; from < large.length; from += blobsAtOnce)
    await Promise.all(
      large.slice(from, from + blobsAtOnce).map(async i => {
        const { position, event } = events[i]!
        resolved[i] = { position, event: await bus.resolve(event).catch(() => event) }
      }),
    )
  return resolved
}
