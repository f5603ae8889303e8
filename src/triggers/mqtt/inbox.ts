import { setTimeout as pause } from 'node:timers/promises'
import type { IPublishPacket } from 'mqtt'
import type { Bus } from '../../bus/bus.ts'
import type { Redactor } from '../../bus/redact.ts'
import { log } from '../../bus/telemetry/log.ts'
import { metrics } from '../../bus/telemetry/metrics.ts'
import { warn } from '../../bus/telemetry/warn.ts'
import { type ErrorCode, TidingsError, textOf } from '../../errors.ts'
import { toMqttMessage, publishMqttMessage, type MqttMessage } from './message.ts'
import type { KnownMessage, Session } from './session.ts'
import type { MqttSettings } from './settings.ts'

// While the log cannot be written; the delay doubles.
const [minRetryDelayMs, maxRetryDelayMs] = [100, 5_000]
const logThrottleMs = 10_000

/* Reason codes of MQTT 5.0. */
const success = 0
const topicNameInvalid = 144
const reasonCodes: Partial<Record<ErrorCode, number>> = { E_EVENT_INVALID: 153, E_EVENT_TOO_LARGE: 131 }

class MessageRejected extends Error {
  readonly reason: number
  readonly code: ErrorCode

  constructor(code: ErrorCode, reason: number, text: string) {
    super(text)
    this.code = code
    this.reason = reason
  }
}

/** Stores the messages of a session one after the other, across connections. */
export class MqttInbox {
  readonly #bus: Bus
  readonly #session: Session
  readonly #settings: MqttSettings
  readonly #source: string
  #tail: Promise<unknown> = Promise.resolve()
  #unlogged = 0
  #lastLogAt = -Infinity

  constructor(bus: Bus, session: Session, settings: MqttSettings) {
    this.#bus = bus
    this.#session = session
    this.#settings = settings
    this.#source = `/triggers/${settings.name}`
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
      const code = await this.#retryUntilDone(() => this.#store(message, known), closed)
      if (code !== undefined && known.position === undefined) this.#session.forget(known)
      return code === undefined ? undefined : { code, known }
    })
  }

  /** True when the release of the packet id is durable; false if the connection closed first. */
  release(packetId: number, closed: AbortSignal): Promise<boolean> {
    return this.#enqueue(async () => {
      const done = await this.#retryUntilDone(() => this.#session.release(packetId).then(() => success), closed)
      return done !== undefined
    })
  }

  #enqueue<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#tail.then(work)
    this.#tail = turn.catch(() => {})
    return turn
  }

  /** Retries until the message is stored or rejected. While the log is unavailable the broker keeps further messages. */
  async #retryUntilDone(work: () => Promise<number>, closed: AbortSignal): Promise<number | undefined> {
    for (let ms = minRetryDelayMs; !closed.aborted; ms = Math.min(ms * 2, maxRetryDelayMs)) {
      try {
        return await work()
      } catch (error) {
        if (error instanceof MessageRejected) return this.#reject(error)
        if (ms === minRetryDelayMs) this.#warn(`the log cannot be written, so messages wait: ${textOf(error)}`)
        await pause(ms, undefined, { signal: closed }).catch(() => {})
      }
    }
    return undefined
  }

  async #store(message: MqttMessage, known: KnownMessage): Promise<number> {
    const { topic, payload } = message
    const { maxBytes, routes } = this.#settings
    if (payload.length > maxBytes)
      throw new MessageRejected(
        'E_EVENT_TOO_LARGE',
        131,
        `${topic}: the payload has ${payload.length} bytes, but maxBytes is ${maxBytes}`,
      )
    const to = routes.route(topic)
    if (!to)
      throw new MessageRejected('E_EVENT_INVALID', topicNameInvalid, `${topic}: no topic filter of the trigger matches`)
    if (known.position === undefined) {
      if (message.retained && (await this.#session.wasRetained(message))) return success
      const event = { id: known.id, source: this.#source, to }
      const { position } = await publishMqttMessage(this.#bus, message, event).catch((error: unknown) => {
        const reason = error instanceof TidingsError ? reasonCodes[error.code] : undefined
        throw reason === undefined
          ? error
          : new MessageRejected((error as TidingsError).code, reason, `${topic}: ${textOf(error)}`)
      })
      await this.#session.markStored(known, position)
    }
    if (message.retained) await this.#session.markRetained(message)
    return success
  }

  #reject({ code, reason, message }: MessageRejected): number {
    metrics.refused.add(1, this.#settings.name, code)
    this.#unlogged++
    if (performance.now() - this.#lastLogAt < logThrottleMs) return reason
    this.#lastLogAt = performance.now()
    const more = this.#unlogged > 1 ? `; ${this.#unlogged} rejected since the last such warning` : ''
    this.#warn(`rejected a message: ${code} ${message}${more}`)
    this.#unlogged = 0
    return reason
  }

  #warn(text: string): void {
    warnOfTrigger(this.#bus.redactor, this.#settings.name, text)
  }
}

/** Logs or prints a redacted warning; topics may contain secrets. */
export function warnOfTrigger(redactor: Redactor, trigger: string, text: string): void {
  if (log.warn) log.warn({ trigger }, redactor.text(text))
  else warn(redactor, `trigger ${trigger}: ${text}`)
}
