import { TidingsError } from '../errors.ts'

/** Counts bytes that are kept until the request is answered. @throws E_BUSY */
export type Reserve = (bytes: number) => void

const maxRequests = 1_024

/** What is in memory of requests that are not answered yet. What would be too much is refused: its source has it still. */
export class MemoryLimiter {
  readonly #maxBytes: number
  #requests = 0
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** @throws E_BUSY */
  async run<T>(work: (hold: Reserve) => Promise<T>): Promise<T> {
    if (this.#requests >= maxRequests) throw busy()
    this.#requests++
    let held = 0
    const hold = (bytes: number) => {
      if (this.#bytes + bytes > this.#maxBytes) throw busy()
      this.#bytes += bytes
      held += bytes
    }
    try {
      return await work(hold)
    } finally {
      this.#requests--
      this.#bytes -= held
    }
  }
}

const busy = () => new TidingsError('E_BUSY', 'too much has come at once', { retryable: true })
