import { eventFrom } from '../../bus/malformed.ts'
import type { Subscription } from '@nats-io/transport-node'
import type { CloudEvent } from '../../event.ts'
import type { LogConnection } from './connection.ts'

type Listener = (event: CloudEvent) => void

/** Events that are not kept, on a subject that no stream listens to. */
export class Signals {
  readonly #connection: LogConnection
  readonly #subject: string
  readonly #listeners = new Set<Listener>()
  #subscription: Subscription | undefined

  constructor(connection: LogConnection, subject: string) {
    this.#connection = connection
    this.#subject = subject
  }

  send(event: CloudEvent): void {
    if (this.#connection.isConnected) this.#connection.writeBuffer.sendLazily(this.#subject, JSON.stringify(event))
  }

  listen(listener: Listener): () => void {
    this.#listeners.add(listener)
    this.#subscription ??= this.#connection.subscribe(this.#subject, message => {
      const event = eventFrom(message.string())
      if (event) for (const each of this.#listeners) each(event)
    })
    return () => {
      this.#listeners.delete(listener)
      if (this.#listeners.size === 0) this.close()
    }
  }

  close(): void {
    if (!this.#connection.nc.isClosed()) this.#subscription?.unsubscribe()
    this.#subscription = undefined
  }
}
