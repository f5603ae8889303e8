import { backoffMs, type GatewayConnection } from './connection.ts'
import { ClientError } from './errors.ts'

/** An event to publish. */
export interface ClientEvent {
  /** A second event with the same id has no effect. */
  readonly id: string
  readonly type: string
  readonly data: unknown
  readonly subject?: string
  readonly correlationid?: string
}

/** What became of a published event. */
export interface ClientPublished {
  readonly id: string
  readonly correlationid: string
}

/** Where events stay until a gateway has them: `localStorage`, or anything with these members of it. */
export interface QueueStorage {
  readonly length: number
  key(index: number): string | null
  getItem(key: string): string | null
  setItem(key: string, value: string): void
  removeItem(key: string): void
}

/** How events wait for a gateway. */
export interface QueueOptions {
  /** Default: in memory only. Events of an earlier page in it are published too. */
  readonly storage?: QueueStorage
  /** Name of the queue in the storage, such as that of the user who is signed in. Default `tidings`. */
  readonly queue?: string
  /** Called for an event of an earlier page that the gateway refused: nobody waits for it any more. */
  readonly onRefused?: (event: ClientEvent, error: unknown) => void
}

interface Waiting extends Partial<PromiseWithResolvers<ClientPublished>> {
  readonly event: ClientEvent
  /** In the storage; sorts by time. */
  readonly key: string
}

const maxWaiting = 10_000
const maxBatch = 100
/** What follows the name of the queue in a key. The page may use the storage for other things under that name. */
const keyOfEvent = /^\d{15}-\d{6}-/

/**
 * Publishes events in their order, in batches, and keeps them until a gateway has them. Several pages may share a storage: an event has an
 * entry of its own, and is published once, whichever of them sends it.
 */
export class PublishQueue {
  readonly #connection: GatewayConnection
  readonly #options: QueueOptions
  readonly #waiting: Waiting[] = []
  readonly #closed = new AbortController()
  #count = 0
  #isSending = false

  constructor(connection: GatewayConnection, options: QueueOptions) {
    this.#connection = connection
    this.#options = options
    this.#waiting.push(...this.#stored())
    void this.#send()
  }

  get size(): number {
    return this.#waiting.length
  }

  /** Resolves when the event is durable. Rejects if the gateway refuses it, or the queue or its storage is full. */
  async add(event: ClientEvent): Promise<ClientPublished> {
    this.#closed.signal.throwIfAborted()
    if (this.#waiting.length >= maxWaiting)
      throw new ClientError({
        code: 'E_BUSY',
        message: `${maxWaiting} events wait for the gateway, the limit; nothing of this one was stored`,
        retryable: true,
      })
    const key = `${this.#prefix}${String(Date.now()).padStart(15, '0')}-${String(this.#count++).padStart(6, '0')}-${event.id}`
    this.#options.storage?.setItem(key, JSON.stringify(event))
    const waiting = { event, key, ...Promise.withResolvers<ClientPublished>() }
    this.#waiting.push(waiting)
    void this.#send()
    return waiting.promise
  }

  /** Stops publishing. What is in the storage stays there. */
  close(): void {
    this.#closed.abort(
      new ClientError({ code: 'E_BUS_CLOSED', message: 'the client was closed before the event was published' }),
    )
    for (const { reject } of this.#waiting.splice(0)) reject?.(this.#closed.signal.reason)
  }

  get #prefix(): string {
    return `${this.#options.queue ?? 'tidings'}:`
  }

  #stored(): Waiting[] {
    const { storage } = this.#options
    const keys = Array.from({ length: storage?.length ?? 0 }, (_, i) => storage!.key(i)!)
    return keys
      .filter(key => key.startsWith(this.#prefix) && keyOfEvent.test(key.slice(this.#prefix.length)))
      .toSorted()
      .map(key => ({ key, event: JSON.parse(storage!.getItem(key)!) as ClientEvent }))
  }

  async #send(): Promise<void> {
    if (this.#isSending) return
    this.#isSending = true
    // What is published in the same moment goes into one request.
    await Promise.resolve()
    let size = maxBatch
    for (let attempt = 0; this.#waiting.length > 0; attempt++) {
      const batch = this.#waiting.slice(0, size)
      try {
        const published = await this.#publish(batch.map(({ event }) => event))
        batch.forEach((waiting, i) => {
          this.#forget(waiting)
          waiting.resolve?.(published[i]!)
        })
        attempt = 0
      } catch (error) {
        if (this.#closed.signal.aborted) return
        if (!(error instanceof ClientError) || error.retryable) {
          await this.#connection.pause(backoffMs(attempt), this.#closed.signal).catch(() => {})
        } else if (size > 1) size = 1
        else {
          this.#refuse(batch[0]!, error)
          size = maxBatch
        }
      }
    }
    this.#isSending = false
  }

  async #publish(events: readonly ClientEvent[]): Promise<ClientPublished[]> {
    const request = { method: 'POST', body: events, signal: this.#closed.signal }
    const response = await this.#connection.send('events', request)
    const { correlationid, correlationids, ids } = (await response.json()) as {
      correlationid: string
      correlationids?: string[]
      ids: string[]
    }
    return ids.map((id, i) => ({ id, correlationid: correlationids?.[i] ?? correlationid }))
  }

  #refuse(waiting: Waiting, error: ClientError): void {
    // Who is signed out may sign in again: then the next page publishes what is in the storage.
    this.#forget(waiting, error.status !== 401)
    if (waiting.reject) waiting.reject(error)
    else this.#options.onRefused?.(waiting.event, error)
  }

  #forget(waiting: Waiting, isSettled = true): void {
    this.#waiting.splice(this.#waiting.indexOf(waiting), 1)
    if (isSettled) this.#options.storage?.removeItem(waiting.key)
  }
}
