import type { Redactor } from '../../bus/redact.ts'
import type { CloudEvent } from '../../event.ts'
import { webhookReceivedType, type WebhookRequest } from './endpoint.ts'

/**
 * The raw body to store with the event: the bytes as sent, if redaction changes nothing. If it changes the event, the bytes
 * may contain the secret in another notation (an escape, a form) or outside the declared paths, so the redacted data is stored
 * as JSON. If the schema dropped what a declared path hides, the redacted body is stored.
 */
export function redactedBody(
  redactor: Redactor,
  bytes: Buffer,
  { body }: WebhookRequest,
  mapped: Pick<CloudEvent, 'type' | 'data'> | undefined,
): Buffer {
  const event = mapped && redactor.event(mapped)
  if (event !== mapped) return Buffer.from(JSON.stringify(event!.data))
  const redactedByType = mapped ? redactor.event({ type: mapped.type, data: body }).data : body
  const redacted = redactor.event({ type: webhookReceivedType, data: { body: redactedByType } }).data.body
  return redacted === body ? bytes : Buffer.from(JSON.stringify(redacted))
}
