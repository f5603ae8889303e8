import { type CloudEvent, createEvent, inheritedAttributes } from '../event.ts'
import type { ErrorData, TidingsError } from '../errors.ts'
import type { Bus } from './bus.ts'
import type { HandlerResult } from './delivery.ts'
import type { Delivery } from './driver.ts'
import { delayedId } from './ids.ts'
import { reasonOf } from './reason.ts'

/** What became of a request before this delivery. It is kept in the memo of the delivery. */
export interface Retries {
  /** Attempts that failed. */
  readonly failures: number
  /** Times that the request was held back without an attempt. */
  readonly holds: number
  /** When it first failed or was held back, in ms since the epoch. */
  readonly since: number
}

/** Data of `tool.delayed` and `model.delayed`. */
export interface DelayedData {
  /** Attempts that failed so far. */
  readonly attempts: number
  /** RFC 3339: not before then is the next attempt. */
  readonly until: string
  readonly error: ErrorData
}

/** `retries` of an answer that was not given at the first attempt. */
export interface RetriesData {
  /** Attempts that failed before the one that led to the answer. */
  readonly failures: number
  /** From the first failure, or the first hold, to the answer. */
  readonly ms: number
}

export function retriesOf({ memo }: Pick<Delivery, 'memo'>): Retries {
  const [failures, holds, since] = (memo ?? '').split(' ').map(Number)
  return failures === undefined || holds === undefined || since === undefined
    ? { failures: 0, holds: 0, since: Date.now() }
    : { failures, holds, since }
}

/** Deliveries, this one included, that did not end in a delay: the worker died, or the log was away. */
export function undelayedDeliveries(delivery: Delivery): number {
  if (delivery.memo === undefined) return delivery.attempt
  const { failures, holds } = retriesOf(delivery)
  return delivery.attempt - failures - holds
}

export function retriesData({ failures, holds, since }: Retries): { retries?: RetriesData } {
  return failures + holds === 0 ? {} : { retries: { failures, ms: Math.max(0, Date.now() - since) } }
}

/** Ends a delivery whose request is attempted later. `isSilent`: the log has said so before. */
export async function delay(
  bus: Bus,
  request: CloudEvent,
  source: string,
  { failures, holds, since }: Retries,
  { after, error, isSilent = false }: { after: number; error: TidingsError; isSilent?: boolean },
): Promise<HandlerResult> {
  const data: DelayedData = {
    attempts: failures,
    until: new Date(Date.now() + after).toISOString(),
    error: error.toJSON(),
  }
  const event = createEvent({
    id: delayedId(request.id, failures + holds),
    type: request.type.replace(/invoke$/, 'delayed'),
    source,
    ...inheritedAttributes(request),
    causationid: request.id,
    hops: request.hops,
    data,
  })
  return {
    outcome: { kind: 'retry', after, reason: reasonOf(error), memo: `${failures} ${holds} ${Math.round(since)}` },
    ...(!isSilent && { events: await bus.encodeAll([event]) }),
  }
}
