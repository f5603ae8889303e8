import type { NatsConnection, PublishOptions } from '@nats-io/transport-node'

interface Outgoing {
  readonly subject: string
  readonly body: string | Uint8Array
  readonly options: PublishOptions | undefined
  readonly refused: ((error: Error) => void) | undefined
}

const lazyFlushMs = 2

/** Sends what comes in one round of the event loop in one go, since every write to the socket costs. */
export class WriteBuffer {
  readonly #nc: NatsConnection
  #outgoing: Outgoing[] = []
  #immediate: NodeJS.Immediate | undefined
  #timer: NodeJS.Timeout | undefined
  #isSuspended = false

  constructor(nc: NatsConnection) {
    this.#nc = nc
  }

  /** `refused` receives the error if the client rejects the message. */
  send(subject: string, body: string | Uint8Array, options?: PublishOptions, refused?: (error: Error) => void): void {
    this.#outgoing.push({ subject, body, options, refused })
    this.#immediate ??= setImmediate(() => this.flush())
  }

  /** For messages that no caller waits for: sent with the next message, or after a moment. */
  sendLazily(subject: string, body: string): void {
    this.#outgoing.push({ subject, body, options: undefined, refused: undefined })
    this.#timer ??= setTimeout(() => this.flush(), lazyFlushMs)
  }

  flush(): void {
    clearTimeout(this.#timer)
    clearImmediate(this.#immediate)
    this.#timer = this.#immediate = undefined
    if (this.#isSuspended || this.#nc.isClosed()) return
    for (const { subject, body, options, refused } of this.#outgoing.splice(0))
      try {
        this.#nc.publish(subject, body, options)
      } catch (error) {
        refused?.(error as Error)
      }
  }

  /** The connection is lost: requests have failed already and are dropped. */
  suspend(): void {
    this.#isSuspended = true
    this.#outgoing = this.#outgoing.filter(({ options }) => options === undefined)
  }

  resume(): void {
    this.#isSuspended = false
    this.flush()
  }
}
