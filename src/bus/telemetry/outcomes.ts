import type { Span } from '@opentelemetry/api'
import type { TidingsError } from '../../errors.ts'
import type { Delivery, EncodedEvent, DeliveryOutcome } from '../driver.ts'
import { reasonText, type Reason } from '../reason.ts'
import type { Redactor } from '../redact.ts'
import { eventFields, log } from './log.ts'
import { metrics } from './metrics.ts'
import { attribute } from './names.ts'

/** Counts and logs the outcome of a delivery. `events` were published with it. */
export function recordOutcome(
  { event, group, attempt }: Delivery,
  outcome: DeliveryOutcome,
  events: readonly EncodedEvent[],
): void {
  metrics.deliveries.add(1, group, outcome.kind)
  for (const entry of events) metrics.published.add(1, entry.event.type)
  switch (outcome.kind) {
    case 'done':
      return log.debug?.({ ...eventFields(event), group, attempt }, 'delivery done')
    case 'retry':
      return log.info?.(
        { ...eventFields(event), group, attempt, ...reasonFields(outcome.reason), retry_ms: outcome.after },
        'delivery will be retried',
      )
    case 'discard':
      return log.error?.(
        { ...eventFields(event), group, attempt, ...reasonFields(outcome.reason) },
        'delivery discarded: on the attention list as dead',
      )
    case 'park':
      return log.warn?.(
        { ...eventFields(event), group, attempt, ...reasonFields(outcome.reason), key: outcome.key },
        'delivery parked: on the attention list until it is redelivered',
      )
  }
}

const reasonFields = ({ code, message }: Reason) => ({ code, reason: message })

/** Logs that a delivery could not be settled; settling is retried. */
export function logSettleFailure(
  redactor: Redactor,
  { event, group }: Delivery,
  { code, message }: TidingsError,
): void {
  const reason = redactor.text(message)
  log.warn?.({ ...eventFields(event), group, code, reason }, 'the end of a delivery cannot be written')
}

export interface ProcessedDelivery {
  readonly delivery: Delivery
  readonly outcome: DeliveryOutcome
  /** The time from receiving the event in a shared group until it was settled. */
  readonly ms: number
  readonly span: Span | undefined
}

export function recordProcessing(redactor: Redactor, { delivery, outcome, ms, span }: ProcessedDelivery) {
  const { group, since } = delivery
  metrics.deliveryTime.record(ms / 1_000, group)
  metrics.queueTime.record(Math.max(0, Date.now() - ms - since) / 1_000, group)
  span?.setAttributes({
    [attribute.outcome]: outcome.kind,
    ...('reason' in outcome && { [attribute.reason]: redactor.text(reasonText(outcome.reason)) }),
  })
}
