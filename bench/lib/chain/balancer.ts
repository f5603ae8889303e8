const downMs = 2_000

/** Chooses one of several replicas of a service in turn. Leaves out those that did not answer lately, as a load balancer does. */
export class Balancer {
  readonly #urls: readonly string[]
  readonly #downUntil = new Map<string, number>()
  #next = 0

  constructor(urls: readonly string[]) {
    this.#urls = urls
  }

  async call<T>(attempt: (url: string) => Promise<T>): Promise<T> {
    const url = this.#choose()
    try {
      return await attempt(url)
    } catch (error) {
      if (isLost(error)) this.#downUntil.set(url, Date.now() + downMs)
      throw error
    }
  }

  #choose(): string {
    const now = Date.now()
    const up = this.#urls.filter(url => (this.#downUntil.get(url) ?? 0) < now)
    const from = up.length > 0 ? up : this.#urls
    return from[this.#next++ % from.length]!
  }
}

/** What `fetch` throws when the connection failed. */
const isLost = (error: unknown) => error instanceof TypeError
