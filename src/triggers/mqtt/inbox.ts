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

// While the log cannot be written: the pause before it is tried again, twice as long each time.
const [shortestMs, longestMs] = [100, 5_000]
const quietMs = 10_000

/* Reason codes of MQTT 5.0. */
const success = 0
const topicNameInvalid = 144
const refusals: Partial<Record<ErrorCode, number>> = { E_EVENT_INVALID: 153, E_EVENT_TOO_LARGE: 131 }

class Refused extends Error {
  readonly reason: number
  readonly code: ErrorCode

  constructor(code: ErrorCode, reason: number, text: string) {
    super(text)
    this.code = code
    this.reason = reason
  }
}

/** Takes the messages of a session, one after the other, whatever connection they come by. */
export class MqttInbox {
  readonly #bus: Bus
  readonly #session: Session
  readonly #settings: MqttSettings
  readonly #source: string
  #last: Promise<unknown> = Promise.resolve()
  #unsaid = 0
  #saidAt = -Infinity

  constructor(bus: Bus, session: Session, settings: MqttSettings) {
    this.#bus = bus
    this.#session = session
    this.#settings = settings
    this.#source = `/triggers/${settings.name}`
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    await this.#last
  }

  /** The reason code of the answer, and by what the message is known; undefined where it gets none, since `gone` came first. */
  receive(packet: IPublishPacket, gone: AbortSignal): Promise<{ code: number; known: KnownMessage } | undefined> {
    return this.#inTurn(async () => {
      if (gone.aborted) return undefined
      const message = toMqttMessage(packet)
      const known = this.#session.identify(message)
      const code = await this.#persist(() => this.#take(message, known), gone)
      if (code !== undefined && known.position === undefined) this.#session.forget(known)
      return code === undefined ? undefined : { code, known }
    })
  }

  /** True when it is on disk that this packet id is free; false where `gone` came first. */
  release(packetId: number, gone: AbortSignal): Promise<boolean> {
    return this.#inTurn(async () => {
      const done = await this.#persist(() => this.#session.release(packetId).then(() => success), gone)
      return done !== undefined
    })
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work)
    this.#last = turn.catch(() => {})
    return turn
  }

  /** Does it until it is done or refused: a log that is away is waited for, and the broker with it. */
  async #persist(work: () => Promise<number>, gone: AbortSignal): Promise<number | undefined> {
    for (let ms = shortestMs; !gone.aborted; ms = Math.min(ms * 2, longestMs)) {
      try {
        return await work()
      } catch (error) {
        if (error instanceof Refused) return this.#refuse(error)
        if (ms === shortestMs) this.#say(`messages wait, since the log cannot be written: ${textOf(error)}`)
        await pause(ms, undefined, { signal: gone }).catch(() => {})
      }
    }
    return undefined
  }

  async #take(message: MqttMessage, known: KnownMessage): Promise<number> {
    const { topic, payload } = message
    const { maxBytes, routes } = this.#settings
    if (payload.length > maxBytes)
      throw new Refused('E_EVENT_TOO_LARGE', 131, `${topic}: ${payload.length} bytes, at most ${maxBytes}`)
    const to = routes.route(topic)
    if (!to) throw new Refused('E_EVENT_INVALID', topicNameInvalid, `${topic}: nobody asked for this topic`)
    if (known.position === undefined) {
      if (message.retained && (await this.#session.wasRetained(message))) return success
      const event = { id: known.id, source: this.#source, to }
      const { position } = await publishMqttMessage(this.#bus, message, event).catch((error: unknown) => {
        const reason = error instanceof TidingsError ? refusals[error.code] : undefined
        throw reason === undefined
          ? error
          : new Refused((error as TidingsError).code, reason, `${topic}: ${textOf(error)}`)
      })
      await this.#session.markStored(known, position)
    }
    if (message.retained) await this.#session.markRetained(message)
    return success
  }

  #refuse({ code, reason, message }: Refused): number {
    metrics.refused.add(1, this.#settings.name, code)
    this.#unsaid++
    if (performance.now() - this.#saidAt < quietMs) return reason
    this.#saidAt = performance.now()
    this.#say(
      `message refused, ${code} ${message}${this.#unsaid > 1 ? `; ${this.#unsaid} since this was last said` : ''}`,
    )
    this.#unsaid = 0
    return reason
  }

  #say(text: string): void {
    say(this.#bus.redactor, this.#settings.name, text)
  }
}

/** Where somebody will see it, without secrets: topics may hold some. */
export function say(redactor: Redactor, trigger: string, text: string): void {
  if (log.warn) log.warn({ trigger }, redactor.text(text))
  else warn(redactor, `trigger ${trigger}: ${text}`)
}
