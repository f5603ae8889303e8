import type { Bus } from '../bus/bus.ts'
import type { Position } from '../bus/driver.ts'
import { notOnLog } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import { eventsAt, withData } from './index/events.ts'
import type { Index } from './index/lookup.ts'
import { reasonsFor, type ReasonSource, type Why } from './reasons.ts'

/** Whether a reader may see an event. Others count as if they were not on the log. */
type IsVisible = (event: CloudEvent) => boolean

/** Explains an event of the log. @throws E_NOT_FOUND */
export async function whyOf(
  bus: Bus,
  index: Index,
  position: Position,
  isVisible: IsVisible = () => true,
): Promise<Why> {
  const at = async (place: Position): Promise<CloudEvent | undefined> => {
    const found = (await eventsAt(bus, [place])).filter(({ event }) => isVisible(event))
    return (await withData(bus, found))[0]?.event
  }
  const event = await at(position)
  if (!event) throw notOnLog('the event is no longer on the log')
  const source: ReasonSource = {
    async byId(id) {
      const place = index.positionOf(id)
      return place && (await at(place))
    },
    isVisible,
    resolved: input => bus.resolve(input).catch(() => input),
    document: key => bus.documents.read(key),
  }
  return reasonsFor(event, source)
}
