import { maxTimerMs } from '../bus/clock.ts'
import { TidingsError } from '../errors.ts'
import type { Bus } from '../bus/bus.ts'

/** A running call: its abort signal, and a race against it. */
export interface RunningCall extends Disposable {
  readonly signal: AbortSignal
  race<T>(work: Promise<T>): Promise<T>
}

/** The runs of tools or inline steps in this process. Aborts those whose call is cancelled, or exceeds its timeout, and those that are returned to other workers. */
export class RunningCalls {
  readonly #bus: Bus
  readonly #running = new Map<string, AbortController>()
  #unsubscribe: (() => void) | undefined

  constructor(bus: Bus, abandoned: AbortSignal) {
    this.#bus = bus
    abandoned.addEventListener('abort', () => {
      for (const controller of this.#running.values()) controller.abort(abandoned.reason)
    })
  }

  start() {
    this.#unsubscribe = this.#bus.onSignal([{ types: ['call.cancelled'] }], ({ subject = '' }) => {
      const reason = new TidingsError('E_TASK_CANCELLED', 'the call was cancelled: its task no longer waits for it')
      this.abort(subject, reason)
    })
  }

  stop() {
    this.#unsubscribe?.()
  }

  abort(call: string, reason: TidingsError) {
    this.#running.get(call)?.abort(reason)
  }

  /** Starts the timeout of a call that begins now. */
  add(call: string, timeoutMs: number, name: string): RunningCall {
    const controller = new AbortController()
    const { signal } = controller
    this.#running.set(call, controller)
    const onTimeout = () =>
      controller.abort(new TidingsError('E_TOOL_TIMEOUT', `"${name}" ran longer than its timeout of ${timeoutMs} ms`))
    const timer = setTimeout(onTimeout, Math.min(timeoutMs, maxTimerMs))
    return {
      signal,
      race: work =>
        new Promise((resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason), { once: true })
          work.then(resolve, reject)
        }),
      [Symbol.dispose]: () => {
        clearTimeout(timer)
        // Another run of the same call may have begun.
        if (this.#running.get(call) === controller) this.#running.delete(call)
      },
    }
  }
}
