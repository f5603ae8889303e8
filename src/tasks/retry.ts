import { backoff, type Backoff, defaultBackoff } from '../bus/delivery.ts'
import type { Retries } from '../bus/retries.ts'
import { aCount, aDuration, must, optionsOf, type Check } from '../options.ts'
import type { CloudEvent } from '../event.ts'
import { type Duration, milliseconds } from './duration.ts'

export type ErrorClass = abstract new (...args: never[]) => unknown

/** When a failed attempt is retried. Never after the deadline of the call. */
export interface RetryOptions {
  /** Maximum time from the first failure to the last retry. */
  retryFor?: Duration
  /** Maximum number of attempts, including the first. */
  maxAttempts?: number
  /** Delay before the first retry. Default 200 ms. */
  backoff?: Duration
  /** Each delay is the previous one times this factor. Default 2. */
  factor?: number
  /** Maximum delay, unless a provider asks for a longer one. Default one minute. */
  maxBackoff?: Duration
  /** Random share of each delay, from 0 to 1. Default 0.5. */
  jitter?: number
  /** Errors that are not retried, by class, name, code or HTTP status. Also matches causes. */
  nonRetryable?: readonly (ErrorClass | string | number)[]
}

export const aRetry = optionsOf({
  retryFor: aDuration,
  maxAttempts: value => (value === Infinity ? undefined : aCount(value)),
  backoff: aDuration,
  factor: must('a number from 1', value => Number.isFinite(value) && (value as number) >= 1),
  maxBackoff: aDuration,
  jitter: must('a number from 0 to 1', value => typeof value === 'number' && value >= 0 && value <= 1),
  nonRetryable: must(
    'a list of error classes, names, codes or statuses',
    value => Array.isArray(value) && value.every(each => ['function', 'string', 'number'].includes(typeof each)),
  ),
} satisfies Record<keyof RetryOptions, Check>)

/** The retry policy of one call, which is data: errors are named, not classes. Its fields replace those of the definition. */
export interface CallRetryOptions extends Omit<RetryOptions, 'nonRetryable'> {
  /** Errors that are not retried, by name, code or HTTP status. */
  nonRetryable?: readonly (string | number)[]
}

export const aCallRetry: Check = value =>
  aRetry(value) ??
  must(
    'names, codes or statuses',
    each => !(each as unknown[]).some(error => typeof error === 'function'),
  )((value as RetryOptions).nonRetryable ?? [])

/** The policy in the data of a request. A malformed one counts as none: any client of the broker can publish a request. */
export function retryInRequest(data: unknown): CallRetryOptions | undefined {
  const retry = (data as { retry?: unknown } | null)?.retry
  return retry !== undefined && aCallRetry(retry) === undefined ? (retry as CallRetryOptions) : undefined
}

/** A retry after a delay in ms, or none. `over`: why a limit prevents the retry. */
export type RetryDecision = { readonly after: number } | { readonly after?: undefined; readonly over?: string }

const maxCauses = 8

export class RetryPolicy {
  readonly #retryFor: number
  readonly #maxAttempts: number
  readonly #backoff: Backoff
  readonly #nonRetryable: readonly (ErrorClass | string | number)[]

  /** `options`: as {@link aRetry} accepts them. */
  constructor(options: RetryOptions) {
    const { baseMs, maxMs, factor, jitter } = defaultBackoff
    this.#retryFor = options.retryFor === undefined ? Infinity : milliseconds(options.retryFor)
    this.#maxAttempts = options.maxAttempts ?? Infinity
    this.#backoff = {
      baseMs: milliseconds(options.backoff ?? baseMs),
      maxMs: milliseconds(options.maxBackoff ?? maxMs),
      factor: options.factor ?? factor,
      jitter: options.jitter ?? jitter,
    }
    this.#nonRetryable = options.nonRetryable ?? []
  }

  get retries(): boolean {
    return this.#maxAttempts > 1
  }

  /** The decision after a failed attempt, which `retries` includes. `after`: the delay that a provider asks for, in ms. */
  next(call: CloudEvent, retries: Retries, error: unknown, after = 0): RetryDecision {
    if (this.#isListed(error) || !this.retries) return {}
    if (retries.failures >= this.#maxAttempts) return { over: `maxAttempts is ${this.#maxAttempts}` }
    return this.postpone(call, retries, Math.max(after, backoff(retries.failures, this.#backoff)))
  }

  /** Whether a call may be delayed by `after` ms. */
  postpone({ deadline }: CloudEvent, { since, now }: Retries, after: number): RetryDecision {
    const at = now() + after
    if (deadline !== undefined && at >= Date.parse(deadline))
      return { over: 'the deadline of the call is before the next attempt' }
    if (at >= since + this.#retryFor) return { over: `retryFor is ${this.#retryFor / 1_000}s` }
    return { after }
  }

  #isListed(thrown: unknown): boolean {
    if (this.#nonRetryable.length === 0) return false
    try {
      let error = thrown
      for (let i = 0; i < maxCauses && error !== undefined && error !== null; i++) {
        const { name, code, originalCode, statusCode, cause } = error as Record<string, unknown>
        const identifiers = [name, code, originalCode, statusCode, String(statusCode)]
        for (const each of this.#nonRetryable)
          if (typeof each === 'function' ? error instanceof each : identifiers.includes(each)) return true
        error = cause
      }
    } catch {
      // An error whose fields cannot be read matches nothing.
    }
    return false
  }
}
