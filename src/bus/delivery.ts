import { setTimeout } from 'node:timers/promises'
import type { CloudEvent } from '../event.ts'
import { textOf, TidingsError } from '../errors.ts'
import type { Filter } from '../pattern.ts'
import type { Bus } from './bus.ts'
import type { Consumer, Delivery, Entry, Outcome } from './driver.ts'

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
  /** A throw counts as a retry. */
  handle(event: CloudEvent, delivery: Delivery): Promise<Handled>
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
      const processing = process(bus, delivery, attempts, handle)
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

async function process(bus: Bus, delivery: Delivery, attempts: number, handle: Consumption['handle']): Promise<void> {
  let { outcome, events } = await attempt(bus, delivery, handle)
  if (outcome.kind === 'retry' && delivery.attempt >= attempts)
    outcome = { kind: 'discard', reason: `${outcome.reason} (attempt ${delivery.attempt})` }
  await settle(bus, delivery, outcome, events)
}

async function attempt(bus: Bus, delivery: Delivery, handle: Consumption['handle']): Promise<Handled> {
  try {
    return await handle(await bus.resolve(delivery.event), delivery)
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
      return await delivery.settle(told, events)
    } catch (error) {
      if (!(error instanceof TidingsError && error.retryable)) return
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
