import type { EncodedEvent } from '../../../bus/driver.ts'
import { eventFrom } from '../../../bus/malformed.ts'
import type { CloudEvent } from '../../../event.ts'

/** An event as the table has it. */
export interface TransferRow {
  readonly pos: number
  readonly id: string
  readonly type: string
  readonly target: string | null
  readonly correlation: string
  readonly event: string
}

/** An entry whose text is not an event keeps its text, and is described by its columns. */
export function entryOfRow({ id, type, target, correlation, event: json }: TransferRow): EncodedEvent {
  const columns = { id, type, correlationid: correlation, ...(target !== null && { target }) }
  return { event: eventFrom(json) ?? (columns as CloudEvent), json }
}
