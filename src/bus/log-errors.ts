import { TidingsError } from '../errors.ts'

/** Remembers the errors that the log itself threw, to tell them from errors of user code that look the same. */
export class LogErrors {
  readonly #seen = new WeakSet<object>()

  /** Awaits an operation of the log and remembers a retryable error. */
  async from<T>(work: Promise<T>): Promise<T> {
    try {
      return await work
    } catch (error) {
      if (error instanceof TidingsError && error.retryable) this.#seen.add(error)
      throw error
    }
  }

  has(error: unknown): boolean {
    return typeof error === 'object' && error !== null && this.#seen.has(error)
  }
}
