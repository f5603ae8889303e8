import { setTimeout } from 'node:timers/promises'
import { type ErrorCode, TidingsError } from '../errors.ts'
import type { StandbyOptions } from '../gateway/standby.ts'

export interface BrokerWait {
  /** Why the app cannot start yet. */
  readonly error: TidingsError
  /** The address that serves `/health` meanwhile. */
  readonly address: string | undefined
}

interface StartWithRetryOptions {
  /** Where to answer `/health` meanwhile; undefined for nowhere. */
  readonly gateway: StandbyOptions | undefined
  readonly signal: AbortSignal | undefined
  readonly onWaiting: ((waiting: BrokerWait) => void) | undefined
}

/** `timeoutMs`: maximum time to connect to the broker. `releasePort` frees the port for the gateway. */
type Attempt<T> = (timeoutMs: number, releasePort: () => Promise<void>) => Promise<T>

const [minTimeoutMs, maxTimeoutMs] = [1_000, 10_000]
const [minDelayMs, maxDelayMs] = [250, 5_000]
const doubled = (ms: number, max: number) => Math.min(2 * ms, max)

/** Starts, and retries while the broker is unavailable or full. Throws what a retry cannot fix, such as rejected credentials. */
export async function startWithRetry<T extends { stop(): Promise<void> }>(
  attempt: Attempt<T>,
  { gateway, signal, onWaiting }: StartWithRetryOptions,
): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  aborted.catch(() => {})
  const abort = () => reject(error ?? new TidingsError('E_BUS_CLOSED', 'the app was stopped before it had started'))
  signal?.addEventListener('abort', abort)
  let error: TidingsError | undefined
  let placeholder: { url: string; stop(): Promise<void> } | undefined
  const releasePort = async () => {
    await placeholder?.stop()
    placeholder = undefined
  }
  let [timeoutMs, delayMs] = [minTimeoutMs, minDelayMs]
  try {
    for (;;) {
      if (signal?.aborted) abort()
      const starting = attempt(timeoutMs, releasePort)
      try {
        return await Promise.race([starting, aborted])
      } catch (thrown) {
        // The attempt may still succeed after the caller aborted: stop it then.
        if (signal?.aborted) void starting.then(it => it.stop()).catch(() => {})
        if (signal?.aborted || !isTransient(thrown)) throw thrown
        const isFirst = error === undefined
        error = thrown
        if (gateway) placeholder ??= await serveHealth(gateway, () => error!)
        if (isFirst) onWaiting?.({ error, address: placeholder?.url })
      }
      await Promise.race([aborted, setTimeout(delayMs, undefined, { signal })])
      timeoutMs = doubled(timeoutMs, maxTimeoutMs)
      delayMs = doubled(delayMs, maxDelayMs)
    }
  } finally {
    signal?.removeEventListener('abort', abort)
    await releasePort()
  }
}

const transientCodes = new Set<ErrorCode>(['E_LOG_UNAVAILABLE', 'E_LOG_UNANSWERED'])

const isTransient = (error: unknown): error is TidingsError =>
  error instanceof TidingsError && error.retryable && transientCodes.has(error.code)

async function serveHealth(gateway: StandbyOptions, problem: () => TidingsError) {
  const { startStandby } = await import('../gateway/standby.ts')
  return startStandby('nats', gateway, problem)
}
