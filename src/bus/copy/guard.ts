import { TidingsError } from '../../errors.ts'
import type { DocumentStore } from '../driver.ts'
import { copyProblemOf, readCopyMark } from './mark.ts'

/** How old the mark may be that is known. A copy waits longer than this before it looks at the end of its source a last time. */
export const markTtlMs = 2_000

/** Keeps a process from using a log that is being copied, or was. */
export class CopyGuard {
  readonly #store: DocumentStore
  #problem: TidingsError | undefined
  #readAt = -Infinity

  constructor(store: DocumentStore) {
    this.#store = store
  }

  /** Whether the log may be used, as was read a moment ago. If not, call `check`. */
  get isOpen(): boolean {
    return !this.#problem && performance.now() - this.#readAt < markTtlMs
  }

  /** Reads the mark. @throws E_LOG_MOVED, E_COPY_UNVERIFIED */
  async check(): Promise<void> {
    const readAt = performance.now()
    try {
      this.#problem = copyProblemOf(await readCopyMark(this.#store))
      this.#readAt = readAt
    } catch (error) {
      // The call that follows says what is wrong with the log.
      if (!(error instanceof TidingsError)) throw error
    }
    if (this.#problem) throw this.#problem
  }
}
