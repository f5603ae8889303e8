import { setTimeout } from 'node:timers/promises'
import type { Bus } from '../bus/bus.ts'
import { TidingsError } from '../errors.ts'
import { type Environment, openBus } from './environment.ts'

export interface Waiting {
  /** Why the log cannot be opened yet. */
  readonly error: TidingsError
  /** Where `/health` says so meanwhile. */
  readonly address: string | undefined
}

interface OpeningOptions extends Pick<Environment, 'bus' | 'home'> {
  /** Port on which `/health` is answered meanwhile. */
  readonly port: number | undefined
  readonly signal: AbortSignal | undefined
  readonly onWaiting: ((waiting: Waiting) => void) | undefined
}

const firstPatience = 1_000
const lastPatience = 10_000
const pauseMs = 250

/**
 * Opens the log, however long its broker is away. What waiting does not mend is thrown: refused credentials, a broker that
 * is too old, an embedded log that cannot be opened.
 */
export async function openSurely({ port, signal, onWaiting, ...where }: OpeningOptions): Promise<Bus> {
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  aborted.catch(() => {})
  const abort = () => reject(error ?? new TidingsError('E_BUS_CLOSED', 'it was stopped before the log was opened'))
  signal?.addEventListener('abort', abort)
  let error: TidingsError | undefined
  let standIn: { url: string; stop(): Promise<void> } | undefined
  try {
    for (let patience = firstPatience; ; patience = Math.min(patience * 2, lastPatience)) {
      if (signal?.aborted) abort()
      const opening = openBus(where, patience)
      try {
        return await Promise.race([opening, aborted])
      } catch (thrown) {
        // It may still open behind the back of whoever has stopped it.
        if (signal?.aborted) void opening.then(bus => bus.driver.close()).catch(() => {})
        if (signal?.aborted || !isWorthWaiting(thrown)) throw thrown
        const isFirst = error === undefined
        error = thrown
        if (port !== undefined) standIn ??= await waitingOn(port, () => error!)
        if (isFirst) onWaiting?.({ error, address: standIn?.url })
      }
      await Promise.race([setTimeout(pauseMs, undefined, { ref: false }), aborted])
    }
  } finally {
    signal?.removeEventListener('abort', abort)
    await standIn?.stop()
  }
}

const isWorthWaiting = (error: unknown): error is TidingsError =>
  error instanceof TidingsError && error.retryable && error.code.startsWith('E_LOG_')

async function waitingOn(port: number, problem: () => TidingsError) {
  const { startWaiting } = await import('../gateway/waiting.ts')
  return startWaiting('nats', port, problem)
}
