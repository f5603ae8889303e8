import { TidingsError } from '../errors.ts'

/** What the log itself said. User code may throw an error that looks the same: only this tells the two apart. */
export class LogErrors {
  readonly #seen = new WeakSet<object>()

  /** Waits for the log, and remembers an error of it that a retry may get over. */
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
