import type { EncodedEvent } from '../../../bus/driver.ts'
import { eventFrom } from '../../../bus/malformed.ts'
import type { IndexedEvent, LocalIndex } from '../local-index.ts'

/** Undefined for a record that is not an event. */
export function kafkaEntry(index: LocalIndex, { partition, offset }: IndexedEvent): EncodedEvent | undefined {
  const json = index.text(partition, offset) ?? ''
  const event = eventFrom(json)
  return event && { event, json }
}
