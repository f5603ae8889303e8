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

/** What a handler answers: an outcome and, when it is done, what it publishes with it. */
export interface HandlerResult {
  outcome: DeliveryOutcome
  events?: readonly EncodedEvent[]
}

export interface ConsumerOptions extends DeliveryHandler {
  group: string
  filter: Filter
  /** Most events handled at once in this process. */
  inFlight: number
  /** Most events handled at once by all members of the group together. */
  limit?: number
  from: 'now' | 'beginning'
}

interface DeliveryHandler {
  /**
   * After this many deliveries the event goes to the attention list, and its caller gets the answer of `fail`. Those that
   * `handle` ended by a delay do not count.
   */
  maxDeliveries: number
  /** A throw counts as a retry. `span`: that of the delivery, where it is traced. */
  handle(event: CloudEvent, delivery: Delivery, span?: Span): Promise<HandlerResult>
  /** The answers when the request is given up. It may come without its data. */
  fail(event: CloudEvent, error: TidingsError): CloudEvent[] | Promise<CloudEvent[]>
}

export interface Backoff {
  readonly baseMs: number
  readonly factor: number
  readonly maxMs: number
  /** Share of a wait that is random, from 0 to 1. */
  readonly jitter: number
}

export const defaultBackoff: Backoff = { baseMs: 200, factor: 2, maxMs: 60_000, jitter: 0.5 }

/** Exponential with jitter, in ms, from attempt 1. Source: AWS Architecture Blog, "Exponential Backoff and Jitter". */
export function backoff(attempt: number, { baseMs, factor, maxMs, jitter } = defaultBackoff): number {
  const ceiling = Math.min(maxMs, baseMs * factor ** (attempt - 1))
  return Math.ceil(ceiling * (1 - jitter * Math.random()))
}

export interface RunningConsumer extends Consumer {
  /** Resolves when everything in hand is settled. */
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
  const taken = performance.now()
  const { outcome, events } = await attempt(bus, delivery, handling, span)
  await settle(bus, delivery, outcome, events)
  recordProcessing(bus.redactor, delivery, outcome, performance.now() - taken, span)
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
    // Another worker is handed it: only that one may give it up.
    const isGivenBack = error.code === 'E_WORKER_STOPPED'
    if (isGivenBack || (!isFinal && undelayedDeliveries(delivery) < attempts))
      return redeliver(delivery, reasonOf(error))
  }
  const outcome: DeliveryOutcome = { kind: 'discard', reason: reasonOf(error) }
  try {
    return { outcome, events: await bus.encodeAll(await fail(delivery.event, error)) }
  } catch (problem) {
    if (!(problem instanceof TidingsError && problem.retryable)) return { outcome }
    // The log is away: the request comes again, and is given up then.
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

/** Settles, again and again while the log cannot be written: what was done is not thrown away for a full disk. */
export async function settle(
  bus: Bus,
  delivery: Delivery,
  outcome: DeliveryOutcome,
  events: readonly EncodedEvent[] = [],
): Promise<void> {
  const told = 'reason' in outcome ? { ...outcome, reason: redactReason(bus.redactor, outcome.reason) } : outcome
  for (let attempt = 1; ; attempt++) {
    try {
      await delivery.settle(told, events)
      return recordOutcome(delivery, told, events)
    } catch (error) {
      if (!(error instanceof TidingsError && error.retryable)) return
      logSettleFailure(bus.redactor, delivery, error)
      await setTimeout(backoff(attempt))
    }
  }
}

const recentPublishMs = 1_000

/**
 * Whether anybody still waits for the answer to this request: its deadline lies ahead, nobody withdrew it, nobody
 * answered it. A first delivery straight after the publish cannot have been withdrawn long ago, so the log is not asked.
 */
export async function isStillAwaited(bus: Bus, { event, attempt, since }: Delivery): Promise<boolean> {
  const now = Date.now()
  if (event.deadline && Date.parse(event.deadline) <= now) return false
  if (attempt === 1 && now - since < recentPublishMs) return true
  return !(await bus.isCallSettled(event.id))
}
