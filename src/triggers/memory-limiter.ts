import { TidingsError } from '../errors.ts'

/** Reserves memory until the request is answered. @throws E_BUSY */
export type Reserve = (bytes: number) => void

const maxRequests = 1_024

/** Bounds the memory of requests that are not answered yet. What exceeds it is rejected; the sender still has it. */
export class MemoryLimiter {
  readonly #maxBytes: number
  #requests = 0
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** Runs one request, and frees what it reserved when it ends. @throws E_BUSY */
  async run<T>(work: (reserve: Reserve) => Promise<T>): Promise<T> {
    if (this.#requests >= maxRequests) throw busy()
    this.#requests++
    let reserved = 0
    const reserve = (bytes: number) => {
      if (this.#bytes + bytes > this.#maxBytes) throw busy()
      this.#bytes += bytes
      reserved += bytes
    }
    try {
      return await work(reserve)
    } finally {
      this.#requests--
      this.#bytes -= reserved
    }
  }
}

const busy = () =>
  new TidingsError('E_BUSY', 'too many requests are in progress; send it again later', { retryable: true })
