import type { Span } from '@opentelemetry/api'
import { TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import type { Bus } from './bus.ts'
import { settledOrAborted, workerStopped } from './abort.ts'
import type { Delivery } from './driver.ts'
import { consume, isStillAwaited, type RunningConsumer, type HandlerResult } from './delivery.ts'
import { undelayedDeliveries } from './retries.ts'
import { pausedOutcome, type PausableKind, type Pauses } from './pauses.ts'

/** Limits on concurrent runs of one tool or model, or of all that share a group. */
export interface ConcurrencyLimits {
  /** Maximum number at once, over all workers of the log. */
  limit?: number
  /** Maximum number of starts per `per` ms in each process. */
  rate?: { count: number; per: number }
}

export interface RequestHandler extends ConcurrencyLimits {
  kind: PausableKind
  /** The consumer group. */
  group: string
  /** The names of what is hosted, or a pattern of them: the targets of the requests. Equal in all members of the group. */
  targets: readonly string[]
  type: string
  /** Other types with these targets that are handled like requests. */
  additionalTypes?: readonly string[]
  /** Ends a delivery that is not for this worker, whatever is paused. Undefined continues. */
  passOn?(event: CloudEvent, delivery: Delivery): Promise<HandlerResult> | undefined
  /** Ends a delivery before it counts for `rate`. Undefined continues. */
  postpone?(event: CloudEvent, delivery: Delivery): Promise<HandlerResult | undefined>
  /** Handles a request. Decides whether failures are retried. */
  handle(event: CloudEvent, delivery: Delivery, span?: Span): Promise<HandlerResult>
  /** The answers to publish when a request is given up. `event` may have no data. */
  fail(event: CloudEvent, error: TidingsError): CloudEvent[] | Promise<CloudEvent[]>
}

const defaultInFlight = 256
/** A request whose worker ended this often while it ran is given up, because it may crash every worker. */
export const maxStarts = 6

/** Handles requests by name: pauses, throttles, drops requests that no caller waits for, and drains before it stops. */
export class Workers {
  readonly #bus: Bus
  readonly #pauses: Pauses
  readonly #consumers: RunningConsumer[] = []
  readonly #abandoned = new AbortController()

  constructor(bus: Bus, pauses: Pauses) {
    this.#bus = bus
    this.#pauses = pauses
  }

  async host(handler: RequestHandler): Promise<void> {
    const { kind, group, targets, type, additionalTypes = [], limit, rate, passOn, postpone, handle, fail } = handler
    const throttle = rate && (await queueOf(rate))
    const consumer = await consume(this.#bus, {
      group,
      filter: [{ types: [type, ...additionalTypes], targets }],
      maxInFlight: limit ?? defaultInFlight,
      ...(limit !== undefined && { limit }),
      // Includes requests from before the first worker started.
      from: 'beginning',
      maxDeliveries: maxStarts,
      handle: async (event, delivery, span) => {
        const passedOn = passOn?.(event, delivery)
        if (passedOn) return passedOn
        const target = event.target!
        if (this.#pauses.has(kind, target)) return { outcome: pausedOutcome(kind, target) }
        const starts = undelayedDeliveries(delivery)
        if (starts > maxStarts)
          throw new TidingsError(
            'E_WORKER_LOST',
            `${kind} "${target}" was started ${starts - 1} times, and its worker died each time`,
          )
        const postponed = postpone && (await postpone(event, delivery))
        if (postponed) return postponed
        if (throttle) await throttle.removeTokens(1)
        if (!(await isStillAwaited(this.#bus, delivery))) return { outcome: { kind: 'done' } }
        this.abandoned.throwIfAborted()
        return handle(event, delivery, span)
      },
      fail,
    })
    this.#consumers.push(consumer)
  }

  /** Aborted when the running requests are returned to other workers. Handlers then throw, whatever their work returned. */
  get abandoned(): AbortSignal {
    return this.#abandoned.signal
  }

  /** Takes no more requests and waits for the running ones until `abort` fires, then returns the rest. */
  async stop(abort?: AbortSignal): Promise<void> {
    for (const consumer of this.#consumers) consumer.pause()
    await settledOrAborted(Promise.all(this.#consumers.map(consumer => consumer.drained())), abort)
    // Closed first, so that abandoned handlers settle nothing.
    const closed = Promise.all(this.#consumers.map(consumer => consumer.close()))
    this.#abandoned.abort(workerStopped())
    await closed
  }
}

async function queueOf({ count, per }: { count: number; per: number }) {
  const { RateLimiterMemory, RateLimiterQueue } = await import('rate-limiter-flexible')
  return new RateLimiterQueue(new RateLimiterMemory({ points: count, duration: per / 1_000 }))
}
