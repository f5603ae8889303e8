import { setTimeout } from 'node:timers/promises'
import type { Span } from '@opentelemetry/api'
import type { CloudEvent } from '../event.ts'
import { TidingsError, toTidingsError } from '../errors.ts'
import type { Filter } from '../pattern.ts'
import type { Bus } from './bus.ts'
import type { Consumer, Delivery, EncodedEvent, DeliveryOutcome } from './driver.ts'
import { reasonOf, redactReason, type Reason } from './reason.ts'
import { undelayedDeliveries } from './retries.ts'
import { recordProcessing, recordOutcome, logSettleFailure } from './telemetry/outcomes.ts'
import { deliverySpan } from './telemetry/spans.ts'
import { inSpan } from './telemetry/tracing.ts'

/** The outcome of a delivery, and the events to publish with it. */
export interface HandlerResult {
  outcome: DeliveryOutcome
  events?: readonly EncodedEvent[]
}

export interface ConsumerOptions extends DeliveryHandler {
  group: string
  filter: Filter
  /** Maximum number of events that this process handles at once. */
  maxInFlight: number
  /** Maximum number of events that all members of the group handle at once. */
  limit?: number
  from: 'now' | 'beginning'
}

interface DeliveryHandler {
  /**
   * After this many deliveries the event is discarded to the attention list, and its caller gets the answer of `fail`. Deliveries that
   * `handle` ended with a delay do not count.
   */
  maxDeliveries: number
  /** A thrown error means retry. `span`: the span of the delivery, if it is traced. */
  handle(event: CloudEvent, delivery: Delivery, span?: Span): Promise<HandlerResult>
  /** The answers to publish when a request is given up. `event` may have no data. */
  fail(event: CloudEvent, error: TidingsError): CloudEvent[] | Promise<CloudEvent[]>
}

export interface Backoff {
  readonly baseMs: number
  readonly factor: number
  readonly maxMs: number
  /** Random share of a delay, from 0 to 1. */
  readonly jitter: number
}

export const defaultBackoff: Backoff = { baseMs: 200, factor: 2, maxMs: 60_000, jitter: 0.5 }

/** Exponential with jitter, in ms, from attempt 1. Source: AWS Architecture Blog, "Exponential Backoff and Jitter". */
export function backoff(attempt: number, { baseMs, factor, maxMs, jitter } = defaultBackoff): number {
  const ceiling = Math.min(maxMs, baseMs * factor ** (attempt - 1))
  return Math.ceil(ceiling * (1 - jitter * Math.random()))
}

export interface RunningConsumer extends Consumer {
  /** Resolves when all received deliveries are settled. */
  drained(): Promise<unknown>
}

/** received → decoded → handled → settled, once per delivery. */
export async function consume(bus: Bus, consumption: ConsumerOptions): Promise<RunningConsumer> {
  const { handle, fail, maxDeliveries: attempts, ...subscription } = consumption
  const underWay = new Set<Promise<void>>()
  const consumer = await bus.subscribe({
    ...subscription,
    mode: 'shared',
    onDelivery: delivery => {
      const processing = inSpan(
        bus.redactor,
        () => deliverySpan(delivery, bus.name),
        span => process(bus, delivery, { maxDeliveries: attempts, handle, fail }, span),
      )
      underWay.add(processing)
      void processing.finally(() => underWay.delete(processing))
    },
  })
  return {
    pause: () => consumer.pause(),
    drained: () => Promise.all(underWay),
    close: () => consumer.close(),
  }
}

async function process(bus: Bus, delivery: Delivery, handling: DeliveryHandler, span: Span | undefined): Promise<void> {
  const started = performance.now()
  const { outcome, events } = await attempt(bus, delivery, handling, span)
  await settle(bus, delivery, outcome, events)
  recordProcessing(bus.redactor, { delivery, outcome, ms: performance.now() - started, span })
}

async function attempt(
  bus: Bus,
  delivery: Delivery,
  { maxDeliveries: attempts, handle, fail }: DeliveryHandler,
  span: Span | undefined,
): Promise<HandlerResult> {
  let error: TidingsError
  try {
    return await handle(await bus.resolve(delivery.event), delivery, span)
  } catch (thrown) {
    error = toTidingsError(thrown, 'E_INTERNAL')
    const isFinal = thrown === error && !error.retryable
    // Another worker receives the event, and only that one may give it up.
    const isGivenBack = error.code === 'E_WORKER_STOPPED'
    if (isGivenBack || (!isFinal && undelayedDeliveries(delivery) < attempts))
      return redeliver(delivery, reasonOf(error))
  }
  const outcome: DeliveryOutcome = { kind: 'discard', reason: reasonOf(error) }
  try {
    return { outcome, events: await bus.encodeAll(await fail(delivery.event, error)) }
  } catch (problem) {
    if (!(problem instanceof TidingsError && problem.retryable)) return { outcome }
    // The log is unavailable: the request is redelivered and given up then.
    return redeliver(delivery, reasonOf(problem))
  }
}

const redeliver = (delivery: Delivery, reason: Reason): HandlerResult => ({
  outcome: {
    kind: 'retry',
    after: backoff(undelayedDeliveries(delivery)),
    reason,
    ...(delivery.memo !== undefined && { memo: delivery.memo }),
  },
})

/** Settles, and retries while the log cannot be written, so that finished work is not lost because of a full disk. */
export async function settle(
  bus: Bus,
  delivery: Delivery,
  outcome: DeliveryOutcome,
  events: readonly EncodedEvent[] = [],
): Promise<void> {
  const redacted = 'reason' in outcome ? { ...outcome, reason: redactReason(bus.redactor, outcome.reason) } : outcome
  for (let attempt = 1; ; attempt++) {
    try {
      await delivery.settle(redacted, events)
      return recordOutcome(delivery, redacted, events)
    } catch (error) {
      if (!(error instanceof TidingsError && error.retryable)) return
      logSettleFailure(bus.redactor, delivery, error)
      await setTimeout(backoff(attempt))
    }
  }
}

const recentPublishMs = 1_000

/**
 * Whether a caller still waits for the answer to this request: its deadline has not passed, and it is neither cancelled nor answered. The
 * log is not asked for the first delivery soon after the publish.
 */
export async function isStillAwaited(bus: Bus, { event, attempt, since }: Delivery): Promise<boolean> {
  const now = bus.now()
  if (event.deadline && Date.parse(event.deadline) <= now) return false
  if (attempt === 1 && now - since < recentPublishMs) return true
  return !(await bus.isCallSettled(event.id))
}
