import { setTimeout } from 'node:timers/promises'
import { type ErrorCode, TidingsError } from '../errors.ts'

export interface Waiting {
  /** Why it cannot start yet. */
  readonly error: TidingsError
  /** Where `/health` says so meanwhile. */
  readonly address: string | undefined
}

interface SurelyOptions {
  /** Port on which `/health` is answered meanwhile; undefined: on none. */
  readonly port: number | undefined
  readonly signal: AbortSignal | undefined
  readonly onWaiting: ((waiting: Waiting) => void) | undefined
}

/** `patienceMs`: for how long to try to reach the broker. `vacate` frees the port. */
type Attempt<T> = (patienceMs: number, vacate: () => Promise<void>) => Promise<T>

const [firstPatience, lastPatience] = [1_000, 10_000]
const [firstPause, lastPause] = [250, 5_000]
const doubled = (ms: number, most: number) => Math.min(2 * ms, most)

/**
 * Starts, however long the broker is away or full. What waiting does not mend is thrown: refused credentials, a broker
 * that is too old, a setting.
 */
export async function startSurely<T extends { stop(): Promise<void> }>(
  attempt: Attempt<T>,
  { port, signal, onWaiting }: SurelyOptions,
): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  aborted.catch(() => {})
  const abort = () => reject(error ?? new TidingsError('E_BUS_CLOSED', 'it was stopped before it had started'))
  signal?.addEventListener('abort', abort)
  let error: TidingsError | undefined
  let standIn: { url: string; stop(): Promise<void> } | undefined
  const vacate = async () => {
    await standIn?.stop()
    standIn = undefined
  }
  let [patience, pause] = [firstPatience, firstPause]
  try {
    for (;;) {
      if (signal?.aborted) abort()
      const starting = attempt(patience, vacate)
      try {
        return await Promise.race([starting, aborted])
      } catch (thrown) {
        // It may still start behind the back of whoever has stopped it.
        if (signal?.aborted) void starting.then(it => it.stop()).catch(() => {})
        if (signal?.aborted || !isWorthWaiting(thrown)) throw thrown
        const isFirst = error === undefined
        error = thrown
        if (port !== undefined) standIn ??= await waitingOn(port, () => error!)
        if (isFirst) onWaiting?.({ error, address: standIn?.url })
      }
      await Promise.race([aborted, setTimeout(pause, undefined, { signal })])
      patience = doubled(patience, lastPatience)
      pause = doubled(pause, lastPause)
    }
  } finally {
    signal?.removeEventListener('abort', abort)
    await vacate()
  }
}

const passing = new Set<ErrorCode>(['E_LOG_UNAVAILABLE', 'E_LOG_UNANSWERED'])

const isWorthWaiting = (error: unknown): error is TidingsError =>
  error instanceof TidingsError && error.retryable && passing.has(error.code)

async function waitingOn(port: number, problem: () => TidingsError) {
  const { startStandby } = await import('../gateway/standby.ts')
  return startStandby('nats', port, problem)
}
