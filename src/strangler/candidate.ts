import { randomUUIDv7 } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Client } from '../ask/client.ts'
import type { TaskHandle } from '../ask/handle.ts'
import { TidingsError } from '../errors.ts'

/** One request of a strangler, on whichever side it is answered. */
export interface RequestOrigin {
  /** Of everything that follows from the request. */
  readonly correlationid: string
  readonly tenant: string
  readonly user?: string
}

const retryDelayMs = 200

/** Asks the candidate, so that it is always known whether it may have been asked. */
export class Candidate {
  readonly #client: Client
  readonly #name: string
  readonly #source: string
  readonly #withinMs: number

  /** @param withinMs the deadline of its tasks */
  constructor(client: Client, { strangler, name, withinMs }: { strangler: string; name: string; withinMs: number }) {
    this.#client = client
    this.#name = name
    this.#source = `/strangler/${strangler}`
    this.#withinMs = withinMs
  }

  /**
   * Asks with all effects. Resolves when the request is durable.
   * @throws E_CANDIDATE_UNSURE if it may have been stored; any other error means that it was not
   */
  async ask<Output>(input: unknown, origin: RequestOrigin): Promise<TaskHandle<Output>> {
    const id = randomUUIDv7()
    const until = Date.now() + this.#withinMs
    for (let isUnsure = false; ; ) {
      try {
        const handle = await this.#request<Output>(input, { ...origin, id })
        // The task may have ended between two attempts, so its end is read from the log.
        return isUnsure ? this.handle(handle.id) : handle
      } catch (error) {
        isUnsure ||= error instanceof TidingsError && error.code === 'E_LOG_UNANSWERED'
        if (!isUnsure) throw error
        if (Date.now() + retryDelayMs > until)
          throw new TidingsError(
            'E_CANDIDATE_UNSURE',
            `the log did not say whether it stored the request ${id} to "${this.#name}"`,
            { cause: error, data: { correlationid: origin.correlationid } },
          )
      }
      // The same id, so that the log takes it once.
      await delay(retryDelayMs)
    }
  }

  /** Asks without the effects that the replay forbids. `id`: of a request that may have been made before; then its task is the same. */
  async mirror(
    input: unknown,
    origin: RequestOrigin & { readonly replay: string; readonly id?: string },
  ): Promise<TaskHandle> {
    // biome-ignore format: one line
    const handle = await this.#request(input, { ...origin, id: origin.id ?? randomUUIDv7() })
    return origin.id === undefined ? handle : this.handle(handle.id)
  }

  handle<Output>(task: string): TaskHandle<Output> {
    return this.#client.handle<Output>(task)
  }

  #request<Output>(
    input: unknown,
    { tenant, user, ...request }: RequestOrigin & { readonly id: string; readonly replay?: string },
  ): Promise<TaskHandle<Output>> {
    const client = this.#client.as({ tenant, source: this.#source, request, ...(user !== undefined && { user }) })
    return client.ask<unknown, Output>(this.#name, input, { deadline: this.#withinMs })
  }
}
