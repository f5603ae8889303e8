import { setTimeout } from 'node:timers/promises'
import type { Span } from '@opentelemetry/api'
import type { CloudEvent } from '../event.ts'
import { textOf, TidingsError } from '../errors.ts'
import type { Filter } from '../pattern.ts'
import type { Bus } from './bus.ts'
import type { Consumer, Delivery, Entry, Outcome } from './driver.ts'
import { processed, settled, unsettled } from './telemetry/settled.ts'
import { deliverySpan } from './telemetry/spans.ts'
import { inSpan } from './telemetry/tracing.ts'

/** What a handler answers: an outcome and, when it is done, what it publishes with it. */
export interface Handled {
  outcome: Outcome
  events?: readonly Entry[]
}

export interface Consumption {
  group: string
  filter: Filter
  /** Most events handled at once in this process. */
  inFlight: number
  /** Most events handled at once by all members of the group together. */
  limit?: number
  from: 'now' | 'beginning'
  /** After this many attempts the event goes to the attention list. */
  attempts: number
  /** A throw counts as a retry. `span`: that of the delivery, where it is traced. */
  handle(event: CloudEvent, delivery: Delivery, span?: Span): Promise<Handled>
}

const backoffBase = 200
const backoffCap = 60_000

/** Exponential with full jitter, in ms. Source: AWS Architecture Blog, "Exponential Backoff and Jitter". */
export function backoff(attempt: number, random = Math.random()): number {
  const ceiling = Math.min(backoffCap, backoffBase * 2 ** (attempt - 1))
  return Math.ceil(ceiling * (0.5 + random / 2))
}

export interface Consuming extends Consumer {
  /** Resolves when everything in hand is settled. */
  ended(): Promise<unknown>
}

/** received → decoded → handled → settled, once per delivery. */
export async function consume(bus: Bus, consumption: Consumption): Promise<Consuming> {
  const { handle, attempts, ...subscription } = consumption
  const underWay = new Set<Promise<void>>()
  const consumer = await bus.driver.subscribe({
    ...subscription,
    mode: 'shared',
    onDelivery: delivery => {
      const processing = inSpan(
        () => deliverySpan(delivery, bus.driver.name),
        span => process(bus, delivery, attempts, handle, span),
      )
      underWay.add(processing)
      void processing.finally(() => underWay.delete(processing))
    },
  })
  return {
    pause: () => consumer.pause(),
    ended: () => Promise.all(underWay),
    close: () => consumer.close(),
  }
}

async function process(
  bus: Bus,
  delivery: Delivery,
  attempts: number,
  handle: Consumption['handle'],
  span: Span | undefined,
): Promise<void> {
  const taken = performance.now()
  let { outcome, events } = await attempt(bus, delivery, handle, span)
  if (outcome.kind === 'retry' && delivery.attempt >= attempts)
    outcome = { kind: 'discard', reason: `${outcome.reason} (attempt ${delivery.attempt})` }
  await settle(bus, delivery, outcome, events)
  processed(delivery, outcome, performance.now() - taken, span)
}

async function attempt(
  bus: Bus,
  delivery: Delivery,
  handle: Consumption['handle'],
  span: Span | undefined,
): Promise<Handled> {
  try {
    return await handle(await bus.resolve(delivery.event), delivery, span)
  } catch (error) {
    const reason = textOf(error)
    if (error instanceof TidingsError && !error.retryable) return { outcome: { kind: 'discard', reason } }
    return { outcome: { kind: 'retry', after: backoff(delivery.attempt), reason } }
  }
}

/** Settles, again and again while the log cannot be written: what was done is not thrown away for a full disk. */
export async function settle(
  bus: Bus,
  delivery: Delivery,
  outcome: Outcome,
  events: readonly Entry[] = [],
): Promise<void> {
  const told = 'reason' in outcome ? { ...outcome, reason: bus.redactor.text(outcome.reason) } : outcome
  for (let attempt = 1; ; attempt++) {
    try {
      await delivery.settle(told, events)
      return settled(delivery, told, events)
    } catch (error) {
      if (!(error instanceof TidingsError && error.retryable)) return
      unsettled(delivery, error)
      await setTimeout(backoff(attempt))
    }
  }
}

const freshMs = 1_000

/**
 * Whether anybody still waits for the answer to this request: its deadline lies ahead, nobody withdrew it, nobody
 * answered it. A first delivery straight after the publish cannot have been withdrawn long ago, so the log is not asked.
 */
export async function isWanted(bus: Bus, { event, attempt, since }: Delivery): Promise<boolean> {
  const now = Date.now()
  if (event.deadline && Date.parse(event.deadline) <= now) return false
  if (attempt === 1 && now - since < freshMs) return true
  return !(await bus.driver.isSettled(event.id))
}
