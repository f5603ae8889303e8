import { Readable } from 'node:stream'
import type * as Mqtt from 'mqtt'
import { TidingsError, textOf } from '../../errors.ts'
import type { MqttInbox } from './inbox.ts'
import type { Session } from './session.ts'
import type { MqttSettings } from './settings.ts'

/*
 * One connection to the broker, from CONNECT until its socket closes. Messages are handled one after the other: while one
 * waits, nothing more is read, so that the broker keeps the rest. PUBACK and PUBREC are sent when the inbox has it.
 */

const keepaliveSeconds = 60
const pingIntervalMs = 20_000
const connectTimeoutMs = 10_000
const disconnectTimeoutMs = 1_000
const sessionExpirySeconds = 7 * 24 * 3_600

const sessionTakenOver = 142

interface ConnectionOptions {
  readonly settings: MqttSettings
  readonly session: Session
  readonly inbox: MqttInbox
  /** Messages that arrive later are not answered. */
  readonly stopping: AbortSignal
}

/** How a connection ended. */
export interface ConnectionLoss {
  /** For people. */
  readonly reason: string
  /** Retrying does not help: credentials, certificates, names. */
  readonly isPermanent: boolean
  /** Another client connected with the same client id. */
  readonly takenOver: boolean
}

export class Connection {
  readonly ended: Promise<ConnectionLoss>
  readonly #closing = new AbortController()
  readonly closed: AbortSignal = this.#closing.signal
  readonly #accepted = Promise.withResolvers<boolean>()
  /** Resolves when the broker accepted the connection and the session is ready. True if the broker has it. */
  readonly ready = this.#accepted.promise
  readonly #client: Mqtt.MqttClient
  #sessionReady: Promise<void> = Promise.resolve()
  #isAccepted = false
  #inProgress = 0
  #error: Error | undefined
  #reason: number | undefined

  constructor({ connect }: typeof Mqtt, { settings, session, inbox, stopping }: ConnectionOptions) {
    const pings: number[] = []
    const gone = AbortSignal.any([stopping, this.closed])
    const client = connect({
      ...clientOptions(settings),
      clientId: settings.clientId,
      clean: false,
      reconnectPeriod: 0,
      resubscribe: false,
      manualConnect: true,
      incomingStore: releaseStore(),
    })
    this.#client = client
    // As a constructor option the client ignores it in MQTT 3.1.1.
    client.options.customHandleAcks = (topic, _payload, packet: Mqtt.IPublishPacket, answer) =>
      this.#handle(async () => {
        const handled = await inbox.receive({ ...packet, topic }, gone)
        if (!handled || this.closed.aborted) return
        handled.known.answeredAt = performance.now()
        answer(settings.version === 5 ? handled.code : 0)
      })
    client.handleMessage = (packet, done) => {
      if (packet.qos === 1) done()
      else
        this.#handle(async () => {
          const handled =
            packet.qos === 2 ? await inbox.release(packet.messageId!, gone) : await inbox.receive(packet, gone)
          if (handled && !this.closed.aborted) done()
        })
    }
    client.on('packetsend', ({ cmd }) => void (cmd === 'pingreq' && pings.push(performance.now())))
    client.on('packetreceive', packet => {
      // The broker has received everything that was sent before the ping. May fail: it only makes the next start faster.
      if (packet.cmd === 'pingresp') void session.forgetAnswered(pings.shift() ?? -Infinity).catch(() => {})
      if (packet.cmd === 'connack' && !(packet.reasonCode ?? packet.returnCode))
        this.#onConnected(packet.sessionPresent, session)
    })
    client.on('disconnect', ({ reasonCode }) => void (this.#reason = reasonCode))
    client.on('error', error => void (this.#error ??= error))
    const pingTimer = setInterval(() => {
      if (!client.connected) return
      client.sendPing()
      // The response of the broker is queued after the messages that wait, so do not count it as missing.
      if (this.#inProgress > 0) client.reschedulePing(true)
    }, pingIntervalMs)
    this.ended = new Promise(resolve =>
      client.once('close', () => {
        clearInterval(pingTimer)
        this.#closing.abort()
        resolve(this.#lossOf())
      }),
    )
    client.connect()
  }

  /** @throws E_MQTT_REFUSED, and anything else when the connection ends meanwhile. */
  async subscribe(filters: readonly string[], qos: 0 | 1 | 2): Promise<readonly Mqtt.ISubscriptionGrant[]> {
    if (filters.length === 0) return []
    // Retained messages only for a new subscription; MQTT 3.1.1 ignores this.
    const wish = Object.fromEntries(filters.map(filter => [filter, { qos, rh: 1 }]))
    try {
      return await this.#withTimeout(this.#client.subscribeAsync(wish))
    } catch (cause) {
      if (!(cause as Partial<Mqtt.ErrorWithSubackPacket>).packet) throw cause
      throw new TidingsError(
        'E_MQTT_REFUSED',
        `the broker rejected the subscription to ${filters.join(', ')}: ${textOf(cause)}`,
        { cause },
      )
    }
  }

  async unsubscribe(filters: readonly string[]): Promise<void> {
    if (filters.length > 0) await this.#withTimeout(this.#client.unsubscribeAsync([...filters]))
  }

  /** Disconnects; the broker keeps the session. */
  async close(): Promise<void> {
    this.#client.end()
    const late = setTimeout(() => this.#client.stream.destroy(), disconnectTimeoutMs)
    await this.ended
    clearTimeout(late)
  }

  async #withTimeout<T>(request: Promise<T>): Promise<T> {
    const late = setTimeout(
      () => this.#fail(new Error(`the broker did not answer within ${connectTimeoutMs} ms`)),
      connectTimeoutMs,
    )
    try {
      return await request
    } finally {
      clearTimeout(late)
    }
  }

  /** No message is handled before the session is ready. `present`: the broker has it. */
  #onConnected(present: boolean, session: Session): void {
    this.#isAccepted = true
    if (!present) this.#sessionReady = session.reset()
    this.#sessionReady.then(() => this.#accepted.resolve(present)).catch(error => this.#fail(error))
  }

  #handle(work: () => Promise<void>): void {
    this.#inProgress++
    void this.#sessionReady
      .then(work)
      .catch(error => this.#fail(error))
      .finally(() => this.#inProgress--)
  }

  #fail(error: Error): void {
    this.#error ??= error
    this.#client.end(true)
  }

  #lossOf(): ConnectionLoss {
    const takenOver = this.#reason === sessionTakenOver
    const reason = takenOver ? 'another client connected with the same client id' : this.#lossReason()
    return { reason, isPermanent: this.#error !== undefined && isPermanentError(this.#error), takenOver }
  }

  #lossReason(): string {
    if (this.#error) return textOf(this.#error)
    const closed = 'the broker closed the connection'
    if (this.#reason !== undefined) return `${closed}, reason ${this.#reason}`
    return this.#isAccepted
      ? `${closed} without a reason, as brokers do when another client connects with the same client id`
      : `${closed} without a reason before it accepted it`
  }
}

export function clientOptions({ version, username, password, host, port, secure, tls, maxBytes }: MqttSettings) {
  return {
    protocol: secure ? 'mqtts' : 'mqtt',
    host,
    port,
    ...tls,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    protocolVersion: version === 5 ? 5 : 4,
    ...(version === 5 && {
      // The broker need not send much larger packets, which would be buffered as a whole.
      properties: { sessionExpiryInterval: sessionExpirySeconds, maximumPacketSize: 16 * maxBytes },
    }),
    keepalive: keepaliveSeconds,
    connectTimeout: connectTimeoutMs,
  } satisfies Mqtt.IClientOptions
}

/** For an error before the connection is used. */
export const lossBy = (error: unknown): ConnectionLoss => ({
  reason: textOf(error),
  isPermanent: isPermanentError(error),
  takenOver: false,
})

// CONNACK of MQTT 3.1.1: version, client id, credentials, permission. Of MQTT 5.0: the same, banned, method, another server.
const permanentReasons = new Set<unknown>([1, 2, 4, 5, 132, 133, 134, 135, 138, 140, 156, 157])

/** Errors about certificates and protocol, not about the network. */
const isPermanentError = (error: unknown) => {
  const { code } = error as { code?: unknown }
  if (typeof code !== 'string') return permanentReasons.has(code)
  return /CERT|^ERR_(SSL|TLS|OSSL)|^UNABLE_TO_|^(EPROTO|HOSTNAME_MISMATCH|INVALID_CA|E_MQTT_REFUSED)$/.test(code)
}

/**
 * Replaces the client's store of messages that it acknowledged with PUBREC. The log has them, also after a restart, so this
 * store claims to have every message that a PUBREL names.
 */
function releaseStore(): NonNullable<Mqtt.IClientOptions['incomingStore']> {
  const accept = (_packet: unknown, done: () => void) => {
    done()
    return store
  }
  const store: NonNullable<Mqtt.IClientOptions['incomingStore']> = {
    put: accept,
    del: accept,
    get: ({ messageId }, done) => {
      const payload = Buffer.alloc(0)
      const known: Mqtt.IPublishPacket = { cmd: 'publish', topic: '', payload, qos: 2, dup: false, retain: false }
      done(undefined, { ...known, ...(messageId !== undefined && { messageId }) })
      return store
    },
    createStream: () => Readable.from([]) as unknown as ReturnType<(typeof store)['createStream']>,
    close: done => done(),
  }
  return store
}
