import type { Span } from '@opentelemetry/api'
import { RateLimiterMemory, RateLimiterQueue } from 'rate-limiter-flexible'
import { TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import type { Bus } from './bus.ts'
import { settledOrAborted, workerStopped } from './abort.ts'
import type { Delivery } from './driver.ts'
import { consume, isStillAwaited, type RunningConsumer, type HandlerResult } from './delivery.ts'
import { undelayedDeliveries } from './retries.ts'
import { pausedOutcome, type PausableKind, type Pauses } from './pauses.ts'

/** Bounds on how much of one tool or model runs at once. */
export interface ConcurrencyLimits {
  /** Most at once, over all workers of the log. */
  limit?: number
  /** Most starts per `per` ms in each process: with several workers the sum is approximate. */
  rate?: { count: number; per: number }
}

export interface RequestHandler extends ConcurrencyLimits {
  kind: PausableKind
  name: string
  /** Type of the requests, which are addressed to `name`. */
  type: string
  /** Types of what is addressed to `name` too, and which is work as a request is. */
  additionalTypes?: readonly string[]
  /** Ends a delivery before it takes one of the starts of `rate`; undefined to go on. */
  hold?(event: CloudEvent, delivery: Delivery): Promise<HandlerResult | undefined>
  /** Decides itself whether a failure is retried. */
  handle(event: CloudEvent, delivery: Delivery, span?: Span): Promise<HandlerResult>
  /** The answers when the request is given up. It may come without its data. */
  fail(event: CloudEvent, error: TidingsError): CloudEvent[] | Promise<CloudEvent[]>
}

const defaultInFlight = 256
// A request that was started this often, and took its worker down with it each time, is given up: it would take down one after the other.
const maxStarts = 6

/** Serves requests by name: pauses, throttles, drops what nobody waits for, and ends what is under way before it stops. */
export class Workers {
  readonly #bus: Bus
  readonly #pauses: Pauses
  readonly #consumers: RunningConsumer[] = []
  readonly #abandoned = new AbortController()

  constructor(bus: Bus, pauses: Pauses) {
    this.#bus = bus
    this.#pauses = pauses
  }

  async host({
    kind,
    name,
    type,
    additionalTypes: alsoTypes = [],
    limit,
    rate,
    hold,
    handle,
    fail,
  }: RequestHandler): Promise<void> {
    const throttle =
      rate && new RateLimiterQueue(new RateLimiterMemory({ points: rate.count, duration: rate.per / 1_000 }))
    const consumer = await consume(this.#bus, {
      group: `${kind}/${name}`,
      filter: [{ types: [type, ...alsoTypes], targets: [name] }],
      inFlight: limit ?? defaultInFlight,
      ...(limit !== undefined && { limit }),
      // Requests that were made before the first worker appeared still wait for it.
      from: 'beginning',
      maxDeliveries: maxStarts,
      handle: async (event, delivery, span) => {
        if (this.#pauses.has(kind, name)) return { outcome: pausedOutcome(kind, name) }
        const starts = undelayedDeliveries(delivery)
        if (starts > maxStarts)
          throw new TidingsError(
            'E_WORKER_LOST',
            `${kind} ${name} was started ${starts - 1} times, and its worker ended each time`,
          )
        const held = hold && (await hold(event, delivery))
        if (held) return held
        if (throttle) await throttle.removeTokens(1)
        if (!(await isStillAwaited(this.#bus, delivery))) return { outcome: { kind: 'done' } }
        this.abandoned.throwIfAborted()
        return handle(event, delivery, span)
      },
      fail,
    })
    this.#consumers.push(consumer)
  }

  /** Aborted when what is still under way belongs to other workers. Handlers then throw, whatever their work says. */
  get abandoned(): AbortSignal {
    return this.#abandoned.signal
  }

  /** Ends what is under way and takes nothing more; at the cut it gives the rest back. */
  async stop(cut?: AbortSignal): Promise<void> {
    for (const consumer of this.#consumers) consumer.pause()
    await settledOrAborted(Promise.all(this.#consumers.map(consumer => consumer.drained())), cut)
    // Given back first: how an abandoned handler ends then settles nothing.
    const closed = Promise.all(this.#consumers.map(consumer => consumer.close()))
    this.#abandoned.abort(workerStopped())
    await closed
  }
}
