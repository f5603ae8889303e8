import { TidingsError } from '../../errors.ts'

/** Refuses calls after `close`, and lets `close` wait for those that were made before it. */
export class OpenCalls {
  readonly #running = new Set<Promise<unknown>>()
  #closing: Promise<void> | undefined

  get isClosed(): boolean {
    return this.#closing !== undefined
  }

  /** @throws E_BUS_CLOSED */
  assertOpen(): void {
    if (this.#closing) throw new TidingsError('E_BUS_CLOSED', 'the log is closed')
  }

  /** Runs a call that `close` waits for. Rejects with E_BUS_CLOSED after `close`. */
  run<T>(work: () => Promise<T>): Promise<T> {
    try {
      this.assertOpen()
    } catch (error) {
      return Promise.reject(error)
    }
    const running = work()
    this.#running.add(running)
    const forget = () => void this.#running.delete(running)
    running.then(forget, forget)
    return running
  }

  /** What a call lists. The first item rejects with E_BUS_CLOSED after `close`. */
  async *list<T>(items: () => AsyncIterable<T> | Iterable<T>): AsyncGenerator<T> {
    this.assertOpen()
    yield* items()
  }

  /** `stop` runs at once and once; it ends with a wait for `settled()` where calls must end first. */
  close(stop: () => Promise<void>): Promise<void> {
    return (this.#closing ??= stop())
  }

  /** Resolves when the calls that run now have ended, however they end. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#running)
  }
}
