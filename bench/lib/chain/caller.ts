import { setTimeout as pause } from 'node:timers/promises'
import { StatusError, type Exchange } from './http.ts'

/*
 * How one service calls another, as a good engineer writes it: a timeout of its own that never exceeds what is left of the deadline of the
 * request, retries with backoff, jitter and a budget, and a circuit breaker.
 */

export interface CallerOptions {
  readonly timeoutMs: number
  readonly maxAttempts: number
  readonly backoffMs: number
  /** Without: retries have no budget and there is no circuit breaker. */
  readonly isTuned: boolean
}

const maxBackoffMs = 4_000

/** Calls one service. Several requests share its budget and its circuit. */
export class Caller {
  readonly #options: CallerOptions
  readonly #budget = new RetryBudget()
  readonly #circuit = new Circuit()

  constructor(options: CallerOptions) {
    this.#options = options
  }

  /** `deadline`: of the whole request, in ms since the epoch. @throws StatusError */
  async call<T>(attempt: (signal: AbortSignal) => Promise<T>, deadline: number, signal: AbortSignal): Promise<T> {
    const { maxAttempts, backoffMs, timeoutMs, isTuned } = this.#options
    this.#budget.deposit()
    for (let tries = 1; ; tries++) {
      try {
        const left = Math.min(timeoutMs, deadline - Date.now())
        if (left <= 0) throw new StatusError(504, 'the deadline has passed')
        if (!isTuned) return await within(attempt, left, signal)
        return await this.#circuit.run(() => within(attempt, left, signal))
      } catch (error) {
        const failure = toStatusError(error)
        const wait = Math.max(failure.retryAfterMs ?? 0, backoff(backoffMs, tries))
        const isOver = signal.aborted || tries >= maxAttempts || Date.now() + wait >= deadline
        if (isOver || !isRetryable(failure) || (isTuned && !this.#budget.withdraw())) throw failure
        await pause(wait, undefined, { signal })
      }
    }
  }
}

/** With full jitter. */
const backoff = (first: number, tries: number) => Math.random() * Math.min(maxBackoffMs, first * 2 ** tries)

const isRetryable = ({ status }: StatusError) => [429, 502, 503, 504].includes(status)

async function within<T>(attempt: (signal: AbortSignal) => Promise<T>, ms: number, signal: AbortSignal): Promise<T> {
  const timeout = AbortSignal.timeout(Math.ceil(ms))
  return attempt(AbortSignal.any([timeout, signal]))
}

/** Network errors as 502, timeouts as 504. */
function toStatusError(error: unknown): StatusError {
  if (error instanceof StatusError) return error
  const { name, message } = error instanceof Error ? error : { name: '', message: String(error) }
  return new StatusError(name === 'TimeoutError' ? 504 : 502, message)
}

/** A retry for five calls, and ten more a second, so that retries cannot multiply an overload. */
class RetryBudget {
  #tokens = maxTokens
  #at = Date.now()

  deposit() {
    this.#tokens = Math.min(maxTokens, this.#tokens + 0.2)
  }

  withdraw(): boolean {
    const now = Date.now()
    this.#tokens = Math.min(maxTokens, this.#tokens + ((now - this.#at) / 1_000) * 10)
    this.#at = now
    if (this.#tokens < 1) return false
    this.#tokens--
    return true
  }
}

const maxTokens = 100

/** Opens when half of the last twenty calls failed. A second later one call probes. */
class Circuit {
  #recent: boolean[] = []
  #openUntil = 0

  async run<T>(work: () => Promise<T>): Promise<T> {
    const now = Date.now()
    if (now < this.#openUntil) throw new StatusError(503, 'the circuit is open', this.#openUntil - now)
    // The others wait for the probe.
    if (this.#openUntil > 0) this.#openUntil = now + 1_000
    try {
      const result = await work()
      this.#count(true)
      return result
    } catch (error) {
      // A service that says that it is busy is not broken.
      this.#count(error instanceof StatusError && (error.status === 429 || error.status === 499))
      throw error
    }
  }

  #count(isGood: boolean) {
    if (isGood && this.#openUntil > 0) this.#recent = []
    if (isGood) this.#openUntil = 0
    this.#recent = [...this.#recent.slice(-19), isGood]
    const failures = this.#recent.filter(each => !each).length
    if (!isGood && this.#recent.length >= 10 && failures * 2 >= this.#recent.length)
      this.#openUntil = Date.now() + 1_000
  }
}

/** Posts JSON. @throws StatusError with the status and the wait that the service asks for */
export async function postJson(
  url: string,
  body: unknown,
  signal: AbortSignal,
  headers: Record<string, string> = {},
): Promise<unknown> {
  const type = { 'content-type': 'application/json' }
  const response = await fetch(url, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { ...type, ...headers },
    signal,
  })
  const received = await response.text()
  if (response.ok) return JSON.parse(received)
  const wait = response.headers.get('retry-after-ms')
  throw new StatusError(response.status, received, wait === null ? undefined : Number(wait))
}

export const deadlineHeader = 'x-deadline'

/** What a tuned service honours: the deadline of a request, in ms since the epoch, and that its caller has gone. */
export function boundsOf({ request, signal }: Exchange, isTuned: boolean): { deadline: number; signal: AbortSignal } {
  if (!isTuned) return { deadline: Infinity, signal: new AbortController().signal }
  return { deadline: Number(request.headers[deadlineHeader]), signal }
}
