import { setTimeout as pause } from 'node:timers/promises'
import type { IPublishPacket } from 'mqtt'
import type { Bus } from '../../bus/bus.ts'
import { type ErrorCode, TidingsError, textOf } from '../../errors.ts'
import { toMqttMessage, publishMqttMessage, type MqttMessage } from './message.ts'
import type { KnownMessage, Session } from './session.ts'
import type { MqttSettings } from './settings.ts'
import type { MessageType } from './topics.ts'
import { RejectionLog, warnOfTrigger } from '../warn-of-trigger.ts'

// While the log cannot be written; the delay doubles.
const [minRetryDelayMs, maxRetryDelayMs] = [100, 5_000]

/* Reason codes of MQTT 5.0. */
const success = 0
const topicNameInvalid = 144
/** For messages that can never be stored. */
const reasonCodes: Partial<Record<ErrorCode, number>> = { E_EVENT_INVALID: 153, E_EVENT_TOO_LARGE: 131 }

/** Stores the messages of a session one after the other, across connections. */
export class MqttInbox {
  readonly #bus: Bus
  readonly #session: Session
  readonly #settings: MqttSettings
  readonly #source: string
  #tail: Promise<unknown> = Promise.resolve()
  readonly #rejections: RejectionLog

  constructor(bus: Bus, session: Session, settings: MqttSettings) {
    this.#bus = bus
    this.#session = session
    this.#settings = settings
    this.#source = `/triggers/${settings.name}`
    this.#rejections = new RejectionLog(bus, settings.name, 'rejected a message')
  }

  /** Resolves when no message is in progress. */
  async idle(): Promise<void> {
    await this.#tail
  }

  /** The reason code to answer with, and what identifies the message; undefined if the connection closed first. */
  receive(packet: IPublishPacket, closed: AbortSignal): Promise<{ code: number; known: KnownMessage } | undefined> {
    return this.#enqueue(async () => {
      if (closed.aborted) return undefined
      const message = toMqttMessage(packet)
      const known = this.#session.identify(message)
      const code = await this.#retryUntilDone(() => this.#storeOrReject(message, known), closed)
      if (code !== undefined && known.position === undefined) this.#session.forget(known)
      return code === undefined ? undefined : { code, known }
    })
  }

  /** True when the release of the packet id is durable; false if the connection closed first. */
  release(packetId: number, closed: AbortSignal): Promise<boolean> {
    const release = () => this.#session.release(packetId).then(() => true)
    return this.#enqueue(async () => (await this.#retryUntilDone(release, closed)) ?? false)
  }

  #enqueue<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#tail.then(work)
    this.#tail = turn.catch(() => {})
    return turn
  }

  /** Retries until the log is available, while the broker keeps further messages; undefined if the connection closed first. */
  async #retryUntilDone<T>(work: () => Promise<T>, closed: AbortSignal): Promise<T | undefined> {
    for (let ms = minRetryDelayMs; !closed.aborted; ms = Math.min(ms * 2, maxRetryDelayMs)) {
      try {
        return await work()
      } catch (error) {
        if (ms === minRetryDelayMs) this.#warn(`the log cannot be written, so messages wait: ${textOf(error)}`)
        await pause(ms, undefined, { signal: closed }).catch(() => {})
      }
    }
    return undefined
  }

  async #storeOrReject(message: MqttMessage, known: KnownMessage): Promise<number> {
    const to = this.#settings.routes.route(message.topic)
    try {
      if (!to) throw new TidingsError('E_EVENT_INVALID', 'no topic filter of the trigger matches')
      await this.#store(message, known, to)
      return success
    } catch (error) {
      const reason = error instanceof TidingsError && reasonCodes[error.code]
      if (!reason) throw error
      this.#rejections.add(error, message.topic)
      return to ? reason : topicNameInvalid
    }
  }

  async #store(message: MqttMessage, known: KnownMessage, to: MessageType): Promise<void> {
    const { length } = message.payload
    const { maxBytes } = this.#settings
    if (length > maxBytes)
      throw new TidingsError('E_EVENT_TOO_LARGE', `the payload has ${length} bytes, but maxBytes is ${maxBytes}`)
    if (known.position === undefined) {
      if (message.retained && (await this.#session.wasRetained(message))) return
      const event = { id: known.id, source: this.#source, to }
      await this.#session.markStored(known, (await publishMqttMessage(this.#bus, message, event)).position)
    }
    if (message.retained) await this.#session.markRetained(message)
  }

  #warn(text: string): void {
    warnOfTrigger(this.#bus, this.#settings.name, text)
  }
}
