import { type CloudEvent, createEvent, inheritedAttributes } from '../event.ts'
import type { ErrorData, TidingsError } from '../errors.ts'
import type { Bus } from './bus.ts'
import type { Now } from './clock.ts'
import type { HandlerResult } from './delivery.ts'
import type { Delivery } from './driver.ts'
import { delayedId } from './ids.ts'
import { reasonOf } from './reason.ts'

/** The history of a request before this delivery, stored in the memo of the delivery, and when its handling began. */
export interface Retries {
  readonly failures: number
  /** Number of times that the request was postponed without an attempt. */
  readonly holds: number
  /** Time of the first failure or postponement, ms since the epoch. */
  readonly since: number
  /** When the worker began to handle this delivery, ms since the epoch. */
  readonly began: number
  /** The clock of the log, by which the times were taken. */
  readonly now: Now
}

/** Data of `tool.delayed` and `model.delayed`. */
export interface DelayedData {
  /** Number of attempts that failed so far. */
  readonly attempts: number
  /** RFC 3339: the earliest time of the next attempt. */
  readonly until: string
  readonly error: ErrorData
  /** As in {@link AnswerTimes}, of the attempt that failed. */
  readonly ranMs?: number
}

/** The field `retries` of an answer that took more than one attempt. */
export interface RetriesData {
  /** Number of failed attempts before the answer. */
  readonly failures: number
  /** Time from the first failure or postponement to the answer. */
  readonly ms: number
}

/** What the data of an answer says of the time since its request. */
export interface AnswerTimes {
  /** Time that the worker spent on the request, in its last attempt. Before that the request was in the queue. */
  readonly ranMs: number
  readonly retries?: RetriesData
}

/** Call it when the worker begins to handle the delivery. */
export function retriesOf({ memo }: Pick<Delivery, 'memo'>, now: Now): Retries {
  const began = now()
  const [failures, holds, since] = (memo ?? '').split(' ').map(Number)
  return failures === undefined || holds === undefined || since === undefined
    ? { failures: 0, holds: 0, since: began, began, now }
    : { failures, holds, since, began, now }
}

/** Number of deliveries, including this one, that did not end in a delay: the worker died, or the log was unavailable. */
export function undelayedDeliveries(delivery: Delivery): number {
  if (delivery.memo === undefined) return delivery.attempt
  const [failures, holds] = delivery.memo.split(' ').map(Number) as [number, number]
  return delivery.attempt - failures - holds
}

export function answerTimes({ failures, holds, since, began, now }: Retries): AnswerTimes {
  const isFirst = failures + holds === 0
  return { ranMs: msSince(began, now), ...(!isFirst && { retries: { failures, ms: msSince(since, now) } }) }
}

const msSince = (moment: number, now: Now) => Math.max(0, Math.round(now() - moment))

export interface Delay {
  readonly source: string
  readonly retries: Retries
  /** Ms from now. */
  readonly after: number
  readonly error: TidingsError
  /** Publishes no further `*.delayed` event. */
  readonly isSilent?: boolean
}

/** Ends a delivery whose request is retried later. */
export async function delay(
  bus: Bus,
  request: CloudEvent,
  { source, retries: { failures, holds, since, began, now }, after, error, isSilent = false }: Delay,
): Promise<HandlerResult> {
  const data: DelayedData = {
    attempts: failures,
    until: new Date(bus.now() + after).toISOString(),
    error: error.toJSON(),
    ranMs: msSince(began, now),
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
