import { randomUUID } from 'node:crypto'
import type { Msg, Subscription } from '@nats-io/transport-node'
import { TidingsError } from '../../errors.ts'
import { statusOf, Unanswered } from './answers.ts'
import type { LogConnection } from './connection.ts'
import { ackable } from './pull-consumer.ts'
import type { StoredMessage } from './stored-message.ts'

const answerTimeoutMs = 5_000
const inactiveTtlMs = 60_000
const nanos = 1_000_000

/** Those of gateways, which must not delete the consumers of groups. */
const mayNotDelete = new WeakSet<LogConnection>()

export interface HeaderPage {
  readonly messages: readonly StoredMessage[]
  /** Fewer than requested because the consumer had no more at that moment. */
  readonly isLast: boolean
}

/**
 * An ephemeral pull consumer that delivers messages in order, without their bodies. A server finds the next message of a subject
 * with wildcards much faster for a consumer than for direct gets, which count what is left for each page.
 */
export class HeaderConsumer {
  readonly #connection: LogConnection
  readonly #stream: string
  readonly #name: string
  readonly #inbox = `_INBOX.${randomUUID()}`
  readonly #subscription: Subscription
  #receive: (message: Msg) => void = () => {}
  #delivered = 0
  /** A delivery was lost: what comes next is not read from this consumer. */
  isBroken = false

  /** `settings`: where it starts and what it filters. @throws Refused, Unanswered */
  static async open(
    connection: LogConnection,
    stream: string,
    settings: Record<string, unknown>,
  ): Promise<HeaderConsumer> {
    const name = randomUUID()
    const config = {
      name,
      headers_only: true,
      ack_policy: 'none',
      replay_policy: 'instant',
      mem_storage: true,
      num_replicas: 1,
      inactive_threshold: inactiveTtlMs * nanos,
      ...settings,
    }
    await connection.api(`CONSUMER.CREATE.${stream}.${name}`, { stream_name: stream, config })
    return new HeaderConsumer(connection, stream, name)
  }

  private constructor(connection: LogConnection, stream: string, name: string) {
    this.#connection = connection
    this.#stream = stream
    this.#name = name
    this.#subscription = connection.subscribe(this.#inbox, message => this.#receive(message))
  }

  /** Up to `batch` messages, in order and without gaps. @throws Unanswered: none came in time, and it is broken */
  async next(batch: number): Promise<HeaderPage> {
    const { promise, resolve } = Promise.withResolvers<Unanswered | 'last' | 'more'>()
    const messages: StoredMessage[] = []
    let receivedAt = performance.now()
    // After a pause of the whole process the answers that wait in the socket come first.
    const silent = () =>
      setImmediate(() => {
        if (performance.now() - receivedAt >= answerTimeoutMs) resolve(new Unanswered('no answer in time'))
      })
    const timer = setInterval(silent, answerTimeoutMs)
    this.#receive = message => {
      const status = statusOf(message)
      if (status === 404 || status === 408) return resolve('last')
      if (status !== 0) return resolve(new Unanswered(`status ${status}`))
      const { seq, subject, at, consumerSeq } = ackable(message)
      if (consumerSeq !== ++this.#delivered) return resolve(new Unanswered('a delivery was lost'))
      const header = (name: string) => message.headers?.get(name) ?? ''
      messages.push({ seq, subject, at, header, text: () => message.string(), bytes: () => message.data })
      if (messages.length === batch) return resolve('more')
      receivedAt = performance.now()
    }
    const subject = `$JS.API.CONSUMER.MSG.NEXT.${this.#stream}.${this.#name}`
    this.#connection.writeBuffer.send(subject, JSON.stringify({ batch, no_wait: true }), { reply: this.#inbox })
    const end = await promise
    clearInterval(timer)
    this.#receive = () => {}
    if (end instanceof Unanswered) {
      this.isBroken = true
      if (messages.length === 0) throw end
    }
    return { messages, isLast: end === 'last' }
  }

  close(): void {
    if (!this.#subscription.isClosed()) this.#subscription.unsubscribe()
    // The server removes an inactive consumer later anyway.
    if (mayNotDelete.has(this.#connection)) return
    this.#connection.api(`CONSUMER.DELETE.${this.#stream}.${this.#name}`).catch(error => {
      if (error instanceof TidingsError && error.code === 'E_BUS_DENIED') mayNotDelete.add(this.#connection)
    })
  }
}
