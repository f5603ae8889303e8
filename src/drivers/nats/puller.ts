import type { Msg, Subscription } from '@nats-io/transport-node'
import { codes, statusOf } from './answers.ts'
import type { Link } from './link.ts'

/** A message of a consumer that waits for its acknowledgement. */
export interface Pulled {
  readonly subject: string
  /** Where its acknowledgement goes; changes with every redelivery. */
  readonly reply: string
  /** 1 for the first time that the server hands it out. */
  readonly delivered: number
  readonly seq: number
  /** Counts what the consumer was given, from 1. */
  readonly nth: number
  /** Ms since the epoch at which it was stored. */
  readonly at: number
  /** Name of the consumer. */
  readonly consumer: string
  readonly message: Msg
}

export interface PullerListener {
  /** Whether what comes after the stop is given back; without acknowledgements there is nothing to give back. */
  readonly givesBack: boolean
  /** How many messages there is room for now, those that are asked for and not here yet included. */
  room(): number
  onMessage(pulled: Pulled): void
  /** The consumer is not there. */
  onMissing(): void
  /** The server says nothing any more; what was asked for last may have come to nobody. Asked again unless told. */
  onSilence?(): void
}

const expiresMs = 30_000
const heartbeatMs = 5_000
const nanos = 1_000_000
const silence = 3 * heartbeatMs
const pauseMs = 200

/** Asks one consumer of the server for as many messages as there is room for, and never for more. */
export class Puller {
  readonly #link: Link
  readonly #subject: string
  readonly #newInbox: () => string
  readonly #listener: PullerListener
  #subscription: Subscription | undefined
  #inbox = ''
  #asked = 0
  #heard = performance.now()
  #again: NodeJS.Timeout | undefined
  #stopped = false

  constructor(link: Link, stream: string, consumer: string, newInbox: () => string, listener: PullerListener) {
    this.#link = link
    this.#subject = `$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`
    this.#newInbox = newInbox
    this.#listener = listener
    this.restart()
  }

  /** Asks for more where there is room for it. In large windows not for every single one. */
  pull(): void {
    if (this.#stopped || this.#again || !this.#link.isConnected) return
    const room = this.#listener.room()
    const batch = room - this.#asked
    if (batch <= 0 || (this.#asked > 0 && batch < room / 4)) return
    this.#asked += batch
    const request = { batch, expires: expiresMs * nanos, idle_heartbeat: heartbeatMs * nanos }
    this.#link.outbox.send(this.#subject, JSON.stringify(request), { reply: this.#inbox })
  }

  /** What was asked for before is void: its answers go to an inbox that nobody listens to any more. */
  restart(): void {
    if (this.#stopped) return
    this.#leave()
    this.#inbox = this.#newInbox()
    this.#subscription = this.#link.subscribe(this.#inbox, message => this.#receive(message))
    this.#asked = 0
    this.#heard = performance.now()
    this.pull()
  }

  /** Looks whether the server still speaks. */
  check(): void {
    if (this.#asked === 0 || performance.now() - this.#heard <= silence) this.pull()
    else if (this.#listener.onSilence) this.#listener.onSilence()
    else this.restart()
  }

  /** What was asked for comes to nobody any more; what is under way is given back. */
  stop(): void {
    this.#stopped = true
    clearTimeout(this.#again)
    this.#leave()
  }

  /** The server drops requests that nobody listens to; what it sent before it knew that is still taken in. */
  #leave(): void {
    const left = this.#subscription
    this.#subscription = undefined
    if (left && !left.isClosed()) left.drain().catch(() => {})
  }

  #receive(message: Msg): void {
    this.#heard = performance.now()
    const status = message.data.length === 0 ? statusOf(message) : 0
    if (this.#stopped) {
      if (status === 0 && message.reply && this.#listener.givesBack) this.#link.outbox.send(message.reply, '-NAK')
      return
    }
    if (status !== 0) return this.#told(status, message)
    this.#asked = Math.max(0, this.#asked - 1)
    this.#listener.onMessage(pulled(message))
    this.pull()
  }

  #told(status: number, message: Msg): void {
    if (status === 100) return
    const left = Number(message.headers!.get('Nats-Pending-Messages')) || 0
    if (status === 408 || (status === 409 && left > 0)) {
      this.#asked = Math.max(0, this.#asked - left)
      return this.pull()
    }
    this.#asked = 0
    if (status === codes.noResponders || /deleted/i.test(message.headers!.description)) this.#listener.onMissing()
    this.#again ??= setTimeout(() => {
      this.#again = undefined
      this.restart()
    }, pauseMs)
  }
}

// $JS.ACK.DOMAIN.ACCOUNT.STREAM.CONSUMER.DELIVERED.STREAM-SEQ.CONSUMER-SEQ.TIME.PENDING, and a random token in long form.
export function pulled(message: Msg): Pulled {
  const reply = message.reply!
  const tokens = reply.split('.')
  const first = tokens.length >= 11 ? 6 : 4
  return {
    subject: message.subject,
    reply,
    delivered: Number(tokens[first]),
    consumer: tokens[first - 1]!,
    seq: Number(tokens[first + 1]),
    nth: Number(tokens[first + 2]),
    at: Number(tokens[first + 3]!.slice(0, -6)),
    message,
  }
}
