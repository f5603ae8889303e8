import { Readable } from 'node:stream'
import type * as Mqtt from 'mqtt'
import { TidingsError, textOf } from '../../errors.ts'
import type { KnownMessage } from './session.ts'
import type { MqttSettings } from './settings.ts'

/*
 * One connection to the broker, from CONNECT until its socket is closed. Messages are handled one after the other, as the client
 * of the package does: while one waits, nothing more is read, so that the broker keeps what it has. What is acknowledged, and when,
 * is decided in `take`: PUBACK and PUBREC are sent when it resolves.
 */

const keepaliveSeconds = 60
const beatMs = 20_000
const connectMs = 10_000
const goodbyeMs = 1_000
const sessionExpirySeconds = 7 * 24 * 3_600

const takenOver = 142

export interface ConnectionHandlers {
  /** The broker lets us in. Nothing is taken before this resolves. `present`: it knows the session. */
  onSession(present: boolean): Promise<void>
  /** The reason code of the answer: 0, or why the message is refused; undefined where it gets none on this connection. */
  onMessage(packet: Mqtt.IPublishPacket): Promise<{ code: number; known: KnownMessage } | undefined>
  /** The broker has everything that was sent before this moment, by `performance.now()`. */
  onAcknowledged(before: number): void
  /** A message of QoS 2 will not be sent again. False where that gets no answer on this connection. */
  onRelease(packetId: number): Promise<boolean>
}

/** How a connection ended. */
export interface ConnectionLoss {
  /** What is wrong, for people. */
  readonly reason: string
  /** Waiting does not mend it: credentials, certificates, names. */
  readonly isPermanent: boolean
  /** Another client has come under the same client id. */
  readonly takenOver: boolean
}

export class Connection {
  /** Resolves when the connection is closed. */
  readonly ended: Promise<ConnectionLoss>
  readonly #client: Mqtt.MqttClient
  readonly #let = Promise.withResolvers<boolean>()
  readonly #closing = new AbortController()
  #begun: Promise<void> = Promise.resolve()
  #isLet = false
  #underWay = 0
  #trouble: Error | undefined
  #reason: number | undefined

  constructor({ connect }: typeof Mqtt, settings: MqttSettings, handlers: ConnectionHandlers) {
    const pings: number[] = []
    const client = connect({
      ...clientOptions(settings),
      clientId: settings.clientId,
      clean: false,
      reconnectPeriod: 0,
      resubscribe: false,
      manualConnect: true,
      incomingStore: releases(),
    })
    this.#client = client
    // Given as an option it would not be heard in MQTT 3.1.1.
    client.options.customHandleAcks = (topic, _payload, packet: Mqtt.IPublishPacket, answer) =>
      this.#handle(async () => {
        const taken = await handlers.onMessage({ ...packet, topic })
        if (!taken || this.closed.aborted) return
        taken.known.answeredAt = performance.now()
        answer(settings.version === 5 ? taken.code : 0)
      })
    client.handleMessage = (packet, done) => {
      if (packet.qos === 1) done()
      else
        this.#handle(async () => {
          const handled =
            packet.qos === 2 ? await handlers.onRelease(packet.messageId!) : await handlers.onMessage(packet)
          if (handled && !this.closed.aborted) done()
        })
    }
    client.on('packetsend', ({ cmd }) => void (cmd === 'pingreq' && pings.push(performance.now())))
    client.on('packetreceive', packet => {
      if (packet.cmd === 'pingresp') handlers.onAcknowledged(pings.shift() ?? -Infinity)
      if (packet.cmd === 'connack' && !(packet.reasonCode ?? packet.returnCode))
        this.#enter(packet.sessionPresent, handlers)
    })
    client.on('disconnect', ({ reasonCode }) => void (this.#reason = reasonCode))
    client.on('error', error => void (this.#trouble ??= error))
    const beat = setInterval(() => {
      if (!client.connected) return
      client.sendPing()
      // What the broker answers lies behind what waits.
      if (this.#underWay > 0) client.reschedulePing(true)
    }, beatMs)
    this.ended = new Promise(resolve =>
      client.once('close', () => {
        clearInterval(beat)
        this.#closing.abort()
        resolve(this.#loss())
      }),
    )
    client.connect()
  }

  /** Aborts when the connection is closed. */
  get closed(): AbortSignal {
    return this.#closing.signal
  }

  /** Resolves when the broker has let us in and `onSession` is done: whether it knows the session. */
  ready(): Promise<boolean> {
    return this.#let.promise
  }

  /** @throws E_MQTT_REFUSED, and anything else when the connection ends meanwhile. */
  async subscribe(filters: readonly string[], qos: 0 | 1 | 2): Promise<readonly Mqtt.ISubscriptionGrant[]> {
    if (filters.length === 0) return []
    // Retained messages come with a new subscription only; MQTT 3.1.1 knows no such wish.
    const wish = Object.fromEntries(filters.map(filter => [filter, { qos, rh: 1 }]))
    try {
      return await this.#answered(this.#client.subscribeAsync(wish))
    } catch (cause) {
      if (!(cause as Partial<Mqtt.ErrorWithSubackPacket>).packet) throw cause
      throw new TidingsError('E_MQTT_REFUSED', `the broker refuses ${filters.join(', ')}: ${textOf(cause)}`, { cause })
    }
  }

  async unsubscribe(filters: readonly string[]): Promise<void> {
    if (filters.length > 0) await this.#answered(this.#client.unsubscribeAsync([...filters]))
  }

  /** Says goodbye; the session stays with the broker. */
  async close(): Promise<void> {
    this.#client.end()
    const late = setTimeout(() => this.#client.stream.destroy(), goodbyeMs)
    await this.ended
    clearTimeout(late)
  }

  async #answered<T>(asked: Promise<T>): Promise<T> {
    const late = setTimeout(() => this.#fail(new Error('the broker does not answer')), connectMs)
    try {
      return await asked
    } finally {
      clearTimeout(late)
    }
  }

  #enter(present: boolean, { onSession }: ConnectionHandlers): void {
    this.#isLet = true
    this.#begun = onSession(present)
    this.#begun.then(
      () => this.#let.resolve(present),
      error => this.#fail(error),
    )
  }

  #handle(work: () => Promise<void>): void {
    this.#underWay++
    void this.#begun
      .then(work)
      .catch(error => this.#fail(error))
      .finally(() => this.#underWay--)
  }

  #fail(error: Error): void {
    this.#trouble ??= error
    this.#client.end(true)
  }

  #loss(): ConnectionLoss {
    const trouble = this.#trouble
    const wordless = this.#isLet
      ? 'the broker closed the connection without a word, as it does when another client comes with the same client id'
      : 'the broker closed the connection without a word before it let us in'
    const said = this.#reason === undefined ? wordless : `the broker closed the connection, reason ${this.#reason}`
    const taken = this.#reason === takenOver
    return {
      reason: taken ? 'another client has come with the same client id' : trouble ? textOf(trouble) : said,
      isPermanent: trouble !== undefined && isLasting(trouble),
      takenOver: taken,
    }
  }
}

/** What all connections have in common. */
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
      // What is much larger than we take need not be sent: it would have to be held in memory as a whole.
      properties: { sessionExpiryInterval: sessionExpirySeconds, maximumPacketSize: 16 * maxBytes },
    }),
    keepalive: keepaliveSeconds,
    connectTimeout: connectMs,
  } satisfies Mqtt.IClientOptions
}

// CONNACK of MQTT 3.1.1: version, client id, credentials, permission. Of MQTT 5.0: the same, banned, method, another server.
const lastingReasons = new Set<unknown>([1, 2, 4, 5, 132, 133, 134, 135, 138, 140, 156, 157])

/** What of OpenSSL and Node is about certificates and not about the network. */
const isLasting = (error: Error) => {
  const { code } = error as { code?: unknown }
  return (
    (error instanceof TidingsError && error.code === 'E_MQTT_REFUSED') ||
    lastingReasons.has(code) ||
    (typeof code === 'string' &&
      /CERT|^ERR_(SSL|TLS|OSSL)|^UNABLE_TO_|^(EPROTO|HOSTNAME_MISMATCH|INVALID_CA)$/.test(code))
  )
}

/**
 * In place of the client's memory of what it acknowledged with PUBREC: that is in the log, also after a restart. So it is asked
 * about each PUBREL, and knows it.
 */
function releases(): NonNullable<Mqtt.IClientOptions['incomingStore']> {
  const store: NonNullable<Mqtt.IClientOptions['incomingStore']> = {
    put: (_packet, done) => {
      done()
      return store
    },
    get: ({ messageId }, done) => {
      const payload = Buffer.alloc(0)
      const known: Mqtt.IPublishPacket = { cmd: 'publish', topic: '', payload, qos: 2, dup: false, retain: false }
      done(undefined, { ...known, ...(messageId !== undefined && { messageId }) })
      return store
    },
    del: (_packet, done) => {
      done()
      return store
    },
    createStream: () => Readable.from([]) as unknown as ReturnType<(typeof store)['createStream']>,
    close: done => done(),
  }
  return store
}
