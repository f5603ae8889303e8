import { TidingsError } from '../../errors.ts'
import type { DocumentStore } from '../driver.ts'
import { copyProblemOf, readCopyMark } from './mark.ts'

/** How old the mark may be that is known. A copy waits longer than this before it looks at the end of its source a last time. */
export const markTtlMs = 2_000
/** From this age on it is read again meanwhile. */
const refreshMs = markTtlMs / 2

/** Keeps a process from using a log that is being copied, or was. */
export class CopyGuard {
  readonly #store: DocumentStore
  #problem: TidingsError | undefined
  #readAt = -Infinity
  #isRefreshing = false

  constructor(store: DocumentStore) {
    this.#store = store
  }

  /** Whether the log may be used, as was read a moment ago. If not, call `check`. One who asks often never waits for a reading. */
  get isOpen(): boolean {
    const age = performance.now() - this.#readAt
    if (age > refreshMs && age < markTtlMs) this.#refresh()
    return !this.#problem && age < markTtlMs
  }

  #refresh(): void {
    if (this.#isRefreshing) return
    this.#isRefreshing = true
    // The next call says what is wrong.
    const end = () => void (this.#isRefreshing = false)
    this.check().then(end, end)
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
