import { backoff, type Backoff, defaultBackoff } from '../bus/delivery.ts'
import type { Retries } from '../bus/retries.ts'
import { TidingsError } from '../errors.ts'
import { anything, optionsOf, type Check } from '../options.ts'
import type { CloudEvent } from '../event.ts'
import { type Duration, milliseconds } from './duration.ts'

/** The class of an error. */
export type ErrorClass = abstract new (...args: never[]) => unknown

/** When a failed attempt is followed by another one. It never is beyond the deadline of the call. */
export interface RetryOptions {
  /** How long, from the first failure on. */
  retryFor?: Duration
  /** Most attempts, the first one included. */
  maxAttempts?: number
  /** Wait before the first retry. Default 200 ms. */
  backoff?: Duration
  /** Each wait is so many times the one before. Default 2. */
  factor?: number
  /** Longest wait, unless a provider asks for a longer one. Default one minute. */
  maxBackoff?: Duration
  /** Share of each wait that is random, from 0 to 1. Default 0.5. */
  jitter?: number
  /** Errors that end the call at once: their classes, or their names, codes or HTTP statuses. Causes count too. */
  nonRetryable?: readonly (ErrorClass | string | number)[]
}

/** Only the names: the policy knows the rules of the values. */
export const aRetry = optionsOf({
  retryFor: anything,
  maxAttempts: anything,
  backoff: anything,
  factor: anything,
  maxBackoff: anything,
  jitter: anything,
  nonRetryable: anything,
} satisfies Record<keyof RetryOptions, Check>)

/** What a failed attempt leads to: another one after so many ms, or none. `over`: why no more, where there might have been one. */
export type RetryDecision = { readonly after: number } | { readonly after?: undefined; readonly over?: string }

const maxCauses = 8

export class RetryPolicy {
  readonly #retryFor: number
  readonly #maxAttempts: number
  readonly #backoff: Backoff
  readonly #nonRetryable: readonly (ErrorClass | string | number)[]

  /** `what` has these options, for the text of an error. @throws E_APP_INVALID */
  constructor(what: string, options: RetryOptions) {
    const must = (name: keyof RetryOptions, rule: string, isMet: boolean) => {
      if (!isMet) throw new TidingsError('E_APP_INVALID', `retry.${name} of ${what} must be ${rule}`)
    }
    const { maxAttempts = Infinity, factor = defaultBackoff.factor, jitter = defaultBackoff.jitter } = options
    must('maxAttempts', 'a whole number from 1', maxAttempts === Infinity || isCount(maxAttempts))
    must('factor', 'a number from 1', Number.isFinite(factor) && factor >= 1)
    must('jitter', 'a number from 0 to 1', jitter >= 0 && jitter <= 1)
    must('nonRetryable', 'a list of error classes, names, codes or statuses', isErrorList(options.nonRetryable))
    const ms = (name: 'retryFor' | 'backoff' | 'maxBackoff', unset: number) => {
      try {
        return options[name] === undefined ? unset : milliseconds(options[name])
      } catch {
        throw new TidingsError(
          'E_APP_INVALID',
          `retry.${name} of ${what} is "${options[name]}": expected '30s' or '15m'`,
        )
      }
    }
    this.#retryFor = ms('retryFor', Infinity)
    this.#maxAttempts = maxAttempts
    this.#backoff = {
      baseMs: ms('backoff', defaultBackoff.baseMs),
      maxMs: ms('maxBackoff', defaultBackoff.maxMs),
      factor,
      jitter,
    }
    this.#nonRetryable = options.nonRetryable ?? []
  }

  /** Whether there may be more than one attempt. */
  get retries(): boolean {
    return this.#maxAttempts > 1
  }

  /** After an attempt that failed; `retries` counts it. `after`: the wait that a provider asks for, in ms. */
  next(call: CloudEvent, retries: Retries, error: unknown, after = 0): RetryDecision {
    if (this.#isListed(error) || !this.retries) return {}
    if (retries.failures >= this.#maxAttempts) return { over: `maxAttempts is ${this.#maxAttempts}` }
    return this.postpone(call, retries, Math.max(after, backoff(retries.failures, this.#backoff)))
  }

  /** Whether a call may wait that long. */
  postpone({ deadline }: CloudEvent, { since }: Retries, after: number): RetryDecision {
    const at = Date.now() + after
    if (deadline !== undefined && at >= Date.parse(deadline))
      return { over: 'the deadline of the call is before the next one' }
    if (at >= since + this.#retryFor) return { over: `retryFor is ${this.#retryFor / 1_000}s` }
    return { after }
  }

  #isListed(thrown: unknown): boolean {
    if (this.#nonRetryable.length === 0) return false
    try {
      let error = thrown
      for (let i = 0; i < maxCauses && error !== undefined && error !== null; i++) {
        const { name, code, originalCode, statusCode, cause } = error as Record<string, unknown>
        const told = [name, code, originalCode, statusCode, String(statusCode)]
        for (const each of this.#nonRetryable)
          if (typeof each === 'function' ? error instanceof each : told.includes(each)) return true
        error = cause
      }
    } catch {
      // An error whose fields cannot be read is none of those that are listed.
    }
    return false
  }
}

const isCount = (value: number) => Number.isSafeInteger(value) && value >= 1
const isErrorList = (list: RetryOptions['nonRetryable']) =>
  list === undefined ||
  (Array.isArray(list) && list.every(each => ['function', 'string', 'number'].includes(typeof each)))
