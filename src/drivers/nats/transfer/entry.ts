import type { EncodedEvent } from '../../../bus/driver.ts'
import { eventFrom } from '../../../bus/malformed.ts'

/** Undefined for a message that is not an event. */
export function readEntry(json: string): EncodedEvent | undefined {
  const event = eventFrom(json)
  return event && { event, json }
}
