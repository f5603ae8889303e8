import type { DeferredDelivery, DeliveryOutcome } from '../../bus/driver.ts'

/** What a driver stores of a delivery that ended without being done. */
export interface Deferral extends Pick<DeferredDelivery, 'state' | 'reason' | 'key'> {
  /** Until the next delivery, in ms. Only of `delayed`. */
  readonly delayMs?: number
  readonly memo?: string
}

/** What to store of a delivery that did not end in `done`. */
export function deferralOf(outcome: Exclude<DeliveryOutcome, { kind: 'done' }>): Deferral {
  const { kind, reason } = outcome
  if (kind === 'discard') return { state: 'dead', reason }
  if (kind === 'park') return { state: 'parked', reason, ...(outcome.key !== undefined && { key: outcome.key }) }
  const { after: delayMs, memo } = outcome
  return { state: 'delayed', reason, delayMs, ...(memo !== undefined && { memo }) }
}
