import type { Redactor } from '../../bus/redact.ts'
import type { CloudEvent } from '../../event.ts'
import { webhookReceivedType, type WebhookRequest } from './endpoint.ts'

/**
 * The body that is kept beside the event: the bytes as they came, redacted as text is. Where redaction hides something of the
 * event, the bytes may hold it in another notation (an escape, a form), or where no path leads: then what the event says is
 * kept, as JSON. The schema may also have left out of the event what a declared path hides: then the body is kept redacted.
 */
export function redactedBody(
  redactor: Redactor,
  bytes: Buffer,
  { body }: WebhookRequest,
  mapped: Pick<CloudEvent, 'type' | 'data'> | undefined,
): Buffer {
  const event = mapped && redactor.event(mapped)
  if (event !== mapped) return Buffer.from(JSON.stringify(event!.data))
  const asSent = mapped ? redactor.event({ type: mapped.type, data: body }).data : body
  const clean = redactor.event({ type: webhookReceivedType, data: { body: asSent } }).data.body
  return clean === body ? bytes : Buffer.from(JSON.stringify(clean))
}
