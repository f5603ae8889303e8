import type { Msg, Subscription } from '@nats-io/transport-node'
import { codes, statusOf } from './answers.ts'
import type { LogConnection } from './connection.ts'

/** A message of a consumer on the server, as its reply subject describes it. */
export interface AckableMessage {
  readonly subject: string
  /** Where its acknowledgement goes; changes with every redelivery. */
  readonly reply: string
  /** 1 for the first delivery by the server. */
  readonly delivered: number
  readonly seq: number
  /** Counts what the consumer was given, from 1. */
  readonly consumerSeq: number
  /** Ms since the epoch at which it was stored. */
  readonly at: number
  /** How many messages the consumer had for its members after this one; redeliveries do not count. */
  readonly pending: number
  readonly message: Msg
}

/** What a pull consumer hands out. */
export interface PulledMessage extends AckableMessage {
  readonly consumer: PullConsumer
}

export interface PullConsumerOptions {
  readonly connection: LogConnection
  readonly partition: number
  readonly stream: string
  /** Its name. */
  readonly consumer: string
  readonly newInbox: () => string
  /** Whether what comes after the stop is given back; without acknowledgements there is nothing to give back. */
  readonly givesBack: boolean
  /** How many messages there is room for now, those that are asked for and not here yet included. */
  room(): number
  /** How long the next request stays on the server, in ms. Default 30,000. */
  expiresMs?(): number
  onMessage(pulled: PulledMessage): void
  /** The consumer is not there. */
  onMissing(): void
  /** The server is silent and messages may be lost. By default the request is repeated. */
  onSilence?(): void
}

const defaultExpiresMs = 30_000
const heartbeatMs = 5_000
const nanos = 1_000_000
const silenceTimeoutMs = 3 * heartbeatMs
const retryDelayMs = 200

/** Pulls from a consumer as many messages as there is room for, never more. */
export class PullConsumer {
  readonly #connection: LogConnection
  readonly #subject: string
  readonly #options: PullConsumerOptions
  #subscription: Subscription | undefined
  #inbox = ''
  #requested = 0
  #pending = 0
  #receivedAt = performance.now()
  #restartTimer: NodeJS.Timeout | undefined
  #stopped = false

  constructor(options: PullConsumerOptions) {
    this.#options = options
    this.#connection = options.connection
    this.#subject = `$JS.API.CONSUMER.MSG.NEXT.${options.stream}.${options.consumer}`
    this.restart()
  }

  get partition(): number {
    return this.#options.partition
  }

  /** How many messages are asked for and not here yet. */
  get requested(): number {
    return this.#requested
  }

  /** How many messages the server had at last; other members may have them now. */
  get pending(): number {
    return this.#pending
  }

  /** Requests more messages if there is room; in large windows not for every single one. */
  pull(): void {
    if (this.#stopped || this.#restartTimer || !this.#connection.isConnected) return
    const room = this.#options.room()
    const batch = room - this.#requested
    if (batch <= 0 || (this.#requested > 0 && batch < room / 4)) return
    this.#requested += batch
    const expiresMs = this.#options.expiresMs?.() ?? defaultExpiresMs
    const request = {
      batch,
      expires: expiresMs * nanos,
      // The server rejects a request that ends before the second heartbeat.
      ...(expiresMs > 2 * heartbeatMs && { idle_heartbeat: heartbeatMs * nanos }),
    }
    this.#connection.writeBuffer.send(this.#subject, JSON.stringify(request), { reply: this.#inbox })
  }

  /** Starts over with a new inbox; answers to earlier requests are dropped. */
  restart(): void {
    if (this.#stopped) return
    this.#unsubscribe()
    this.#inbox = this.#options.newInbox()
    this.#subscription = this.#connection.subscribe(this.#inbox, message => this.#receive(message))
    this.#requested = this.#pending = 0
    this.#receivedAt = performance.now()
    this.pull()
  }

  /** Starts over if the server has been silent for too long. */
  check(): void {
    if (this.#requested === 0 || performance.now() - this.#receivedAt <= silenceTimeoutMs) this.pull()
    else if (this.#options.onSilence) this.#options.onSilence()
    else this.restart()
  }

  /** Drops the requests and returns messages that are under way. */
  stop(): void {
    this.#stopped = true
    clearTimeout(this.#restartTimer)
    this.#unsubscribe()
  }

  /** The server drops requests whose inbox has no subscriber; messages that it sent before are still processed. */
  #unsubscribe(): void {
    const left = this.#subscription
    this.#subscription = undefined
    if (left && !left.isClosed()) left.drain().catch(() => {})
  }

  #receive(message: Msg): void {
    this.#receivedAt = performance.now()
    const status = message.data.length === 0 ? statusOf(message) : 0
    if (this.#stopped) {
      if (status === 0 && message.reply && this.#options.givesBack)
        this.#connection.writeBuffer.send(message.reply, '-NAK')
      return
    }
    if (status !== 0) return this.#onStatus(status, message)
    this.#requested = Math.max(0, this.#requested - 1)
    const ackableMessage = ackable(message)
    this.#pending = ackableMessage.pending
    this.#options.onMessage({ ...ackableMessage, consumer: this })
    this.pull()
  }

  #onStatus(status: number, message: Msg): void {
    if (status === 100) return
    const left = Number(message.headers!.get('Nats-Pending-Messages')) || 0
    if (status === 408 || (status === 409 && left > 0)) {
      this.#requested = Math.max(0, this.#requested - left)
      this.#pending = 0
      return this.pull()
    }
    this.#requested = 0
    if (status === codes.noResponders || message.headers!.description === 'Consumer Deleted') this.#options.onMissing()
    this.#restartTimer ??= setTimeout(() => {
      this.#restartTimer = undefined
      this.restart()
    }, retryDelayMs)
  }
}

// $JS.ACK.DOMAIN.ACCOUNT.STREAM.CONSUMER.DELIVERED.STREAM-SEQ.CONSUMER-SEQ.TIME.PENDING, and a random token in long form.
export function ackable(message: Msg): AckableMessage {
  const reply = message.reply!
  const tokens = reply.split('.')
  const first = tokens.length >= 11 ? 6 : 4
  return {
    subject: message.subject,
    reply,
    delivered: Number(tokens[first]),
    seq: Number(tokens[first + 1]),
    consumerSeq: Number(tokens[first + 2]),
    at: Number(tokens[first + 3]!.slice(0, -6)),
    pending: Number(tokens[first + 4]),
    message,
  }
}
