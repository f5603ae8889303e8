import type { Redactor } from '../../bus/redact.ts'
import type { CloudEvent } from '../../event.ts'
import { received, type WebhookRequest } from './endpoint.ts'

/**
 * The body that is kept beside the event: the bytes as they came, redacted as text is. Where redaction hides something of what
 * they say, it may stand in them in another notation (an escape, a form), or where no path leads: then what the event says
 * is kept, as JSON.
 */
export function keptBody(
  redactor: Redactor,
  bytes: Buffer,
  { body }: WebhookRequest,
  mapped: Pick<CloudEvent, 'type' | 'data'> | undefined,
): Buffer {
  const event = mapped && redactor.event(mapped)
  if (event !== mapped) return Buffer.from(JSON.stringify(event!.data))
  const untyped = { type: received, data: { body } }
  const { data } = redactor.event(untyped)
  return data === untyped.data ? bytes : Buffer.from(JSON.stringify(data.body))
}
