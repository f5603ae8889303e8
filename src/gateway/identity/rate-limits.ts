import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible'
import { httpError } from '../../http/response.ts'
import type { Policy } from './policy.ts'

/** Wrong credentials from one address in a minute. */
const maxWrong = 10
const duration = 60

/** How much a credential may ask of this gateway in a minute, and how many wrong credentials may come from one address. */
export class RateLimits {
  readonly #wrong = new RateLimiterMemory({ points: maxWrong, duration })
  #limits: Policy['limits'] | undefined
  #requests!: RateLimiterMemory
  #bytes!: RateLimiterMemory

  /** Counts a request. `credential`: names it. @throws 429 E_RATE_LIMITED */
  async count(credential: string, bytes: number, limits: Policy['limits']): Promise<void> {
    if (limits !== this.#limits) {
      this.#limits = limits
      this.#requests = new RateLimiterMemory({ points: limits.requestsPerMinute, duration })
      this.#bytes = new RateLimiterMemory({ points: limits.bytesPerMinute, duration })
    }
    const { requestsPerMinute, bytesPerMinute } = limits
    await consume(
      this.#requests,
      credential,
      1,
      `this credential sent more than ${requestsPerMinute} requests in a minute`,
    )
    if (bytes > 0)
      await consume(
        this.#bytes,
        credential,
        bytes,
        `this credential sent more than ${bytesPerMinute} bytes in a minute`,
      )
  }

  /** Whether no further wrong credential of this address is looked up. */
  async isBlocked(address: string): Promise<boolean> {
    return ((await this.#wrong.get(address))?.consumedPoints ?? 0) >= maxWrong
  }

  /** Counts a wrong credential. @throws 429 E_CREDENTIAL_UNKNOWN */
  countWrong(address: string): Promise<void> {
    const problem = `this address sent more than ${maxWrong} wrong credentials in a minute`
    return consume(this.#wrong, address, 1, problem, 'E_CREDENTIAL_UNKNOWN')
  }
}

async function consume(
  limiter: RateLimiterMemory,
  key: string,
  points: number,
  problem: string,
  code: 'E_RATE_LIMITED' | 'E_CREDENTIAL_UNKNOWN' = 'E_RATE_LIMITED',
): Promise<void> {
  try {
    await limiter.consume(key, points)
  } catch (thrown) {
    if (!(thrown instanceof RateLimiterRes)) throw thrown
    const retryAfter = Math.max(1, Math.ceil(thrown.msBeforeNext / 1_000))
    throw httpError(429, `${problem}; wait ${retryAfter} seconds`, { code, retryAfter })
  }
}
