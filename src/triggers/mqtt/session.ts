import { randomBytes } from 'node:crypto'
import type { Bus } from '../../bus/bus.ts'
import { advance, beginning, isCovered, readCursor, rewind } from '../../bus/cursor.ts'
import type { Cursor, Position } from '../../bus/driver.ts'
import { readByTime } from '../../bus/read-by-time.ts'
import { shortDigest, type MqttMessage } from './message.ts'

/*
 * Recognises messages that the broker resends, so that they are not published twice. MQTT identifies a message only by a packet
 * id, which the broker reuses after the acknowledgement. So an event id contains the QoS, the packet id and a digest:
 *
 *     mqtt:CLIENT:QOS:PACKET:DIGEST:RANDOM
 *
 * After a restart these ids are read from the log, from the position in the session document. Whether a message is a known one:
 *
 *     packet id     QoS 2, no PUBREL yet, same content       yes (MQTT 5.0, 4.3.3)
 *     is known      QoS 1, not answered yet, same            yes: the broker may not reuse the packet id yet
 *                   QoS 1, answered, same, and DUP           yes, unless this broker reuses packet ids at once
 *                   else                                     no
 *     is not known                                           no
 *
 * In the third case a message whose PUBACK was lost looks like a new one with the same content. Most brokers count packet ids
 * up to 65,535, so it is a resent one. If a broker was seen to reuse ids sooner, the message is published: QoS 1 allows
 * duplicates, but no loss. A packet id is forgotten when the broker has answered something that was sent after our
 * acknowledgement.
 */

const maxKnown = 1_000
const saveEvery = 500

export interface KnownMessage {
  readonly id: string
  readonly packetId: number
  readonly qos: 0 | 1 | 2
  readonly digest: string
  /** Undefined if it is unknown whether the message is on the log. */
  position: Position | undefined
  /** When it was answered, by `performance.now()`, or restored after a restart; undefined if not yet. */
  answeredAt: number | undefined
}

interface SessionDocument {
  /** The subscriptions. `sure` is false while connecting, because the broker may have lost the session. */
  filters: readonly string[]
  sure: boolean
  /** The log is read from here after a restart. */
  from: Cursor
  /** Of the QoS 2 messages up to here, only those in `waiting` still expect a PUBREL. */
  upTo: Cursor
  waiting: number[]
  /** The broker reused a packet id while it was known. */
  reuses: boolean
}

export class Session {
  readonly #bus: Bus
  readonly #key: string
  readonly #document: string
  /** Oldest first. */
  readonly #byPacketId = new Map<number, KnownMessage>()
  /** Messages with an id from the publisher, oldest first. */
  readonly #byOwnId = new Map<string, KnownMessage>()
  #saved: SessionDocument = { filters: [], sure: false, from: beginning, upTo: beginning, waiting: [], reuses: false }
  #upTo = beginning
  #reuses = false
  #unsaved = 0
  #writing: Promise<unknown> = Promise.resolve()

  private constructor(bus: Bus, clientId: string) {
    this.#bus = bus
    this.#key = shortDigest(clientId).slice(0, 12)
    this.#document = `mqtt/${this.#key}`
  }

  /** Restores the session from the log. `types`: of the events that its messages become. */
  static async open(
    bus: Bus,
    { clientId, source, types }: { clientId: string; source: string; types: readonly string[] },
  ): Promise<Session> {
    const session = new Session(bus, clientId)
    await session.#restore(source, types)
    return session
  }

  /** The subscriptions that the broker certainly has. */
  get filters(): readonly string[] {
    return this.#saved.sure ? this.#saved.filters : []
  }

  /** The subscriptions that the broker may have. */
  get possibleFilters(): readonly string[] {
    return this.#saved.filters
  }

  /** For a broker that lost the session: packet ids start again, and there are no subscriptions. */
  async reset(): Promise<void> {
    this.#byPacketId.clear()
    await this.save({ filters: [], sure: true })
  }

  /** The known message that this one repeats, or a new entry. */
  identify({ packetId, qos, dup, digest, ownId }: MqttMessage): KnownMessage {
    const named = ownId === undefined ? undefined : this.#byOwnId.get(ownId)
    if (named) return named
    const newMessage = { packetId, qos, digest, position: undefined, answeredAt: undefined }
    if (ownId !== undefined) return this.#addByOwnId({ ...newMessage, id: ownId })
    const known = this.#byPacketId.get(packetId)
    if (qos > 0 && known?.qos === qos && known.digest === digest)
      if (qos === 2 || known.answeredAt === undefined || (dup && !this.#reuses)) return known
    const id = `mqtt:${this.#key}:${qos}:${packetId}:${digest}:${randomBytes(6).toString('hex')}`
    return qos === 0 ? { ...newMessage, id } : this.#addByPacketId({ ...newMessage, id })
  }

  /** Removes a message that is not on the log. */
  forget(known: KnownMessage): void {
    if (this.#byPacketId.get(known.packetId) === known) this.#byPacketId.delete(known.packetId)
    this.#byOwnId.delete(known.id)
  }

  async markStored(known: KnownMessage, position: Position): Promise<void> {
    known.position = position
    this.#upTo = advance(this.#upTo, position)
    if (known.qos > 0 && ++this.#unsaved >= saveEvery) await this.save()
  }

  /** The broker will not resend this QoS 2 message. Durable before the answer is sent. */
  async release(packetId: number): Promise<void> {
    if (this.#byPacketId.get(packetId)?.qos !== 2) return
    this.#byPacketId.delete(packetId)
    await this.save()
  }

  /** Forgets messages that were answered before this time: the broker has the answers, and will not resend them. */
  async forgetAnswered(before: number): Promise<void> {
    const size = this.#byPacketId.size + this.#byOwnId.size
    for (const [key, { qos, answeredAt = Infinity }] of this.#byPacketId)
      if (qos === 1 && answeredAt < before) this.#byPacketId.delete(key)
    for (const [key, { qos, answeredAt = Infinity }] of this.#byOwnId)
      if (qos === 0 || answeredAt < before) this.#byOwnId.delete(key)
    if (this.#byPacketId.size + this.#byOwnId.size < size) await this.save()
  }

  /** Writes the document. The last writer wins: a second process with the same client id is rejected by the broker. */
  save(changes: Partial<Pick<SessionDocument, 'filters' | 'sure'>> = {}): Promise<void> {
    const written = this.#writing.then(() => this.#write(changes))
    this.#writing = written.catch(() => {})
    return written
  }

  async #write(changes: Partial<SessionDocument>): Promise<void> {
    // Read first, so that later events have higher positions.
    const head = await this.#bus.head()
    const positions = [...this.#byPacketId.values(), ...this.#byOwnId.values()].map(({ position }) => position)
    const isSettled = !positions.includes(undefined)
    const saved: SessionDocument = {
      ...this.#saved,
      ...changes,
      ...(isSettled && { from: positions.reduce((cursor: Cursor, position) => rewind(cursor, position!), head) }),
      upTo: this.#upTo,
      waiting: [...this.#byPacketId.values()].filter(({ qos }) => qos === 2).map(({ packetId }) => packetId),
      reuses: this.#reuses,
    }
    // A filter with a secret is stored redacted, so it is subscribed again after a restart.
    const written = { ...saved, filters: saved.filters.map(filter => this.#bus.redactor.text(filter)) }
    await this.#bus.documents.replaceText(this.#document, JSON.stringify(written))
    this.#saved = saved
    this.#unsaved = 0
  }

  /** Whether the topic had this retained message the last time. */
  async wasRetained({ topic, digest }: MqttMessage): Promise<boolean> {
    return (await this.#bus.documents.readText(this.#retained(topic))) === digest
  }

  async markRetained({ topic, digest }: MqttMessage): Promise<void> {
    await this.#bus.documents.replaceText(this.#retained(topic), digest)
  }

  #retained(topic: string): string {
    return `${this.#document}/retained/${shortDigest(topic)}`
  }

  async #restore(source: string, types: readonly string[]): Promise<void> {
    const saved = await this.#bus.documents.read<SessionDocument>(this.#document)
    if (!saved) return
    // Older versions stored numbers.
    const [from, upTo] = [readCursor(saved.from), readCursor(saved.upTo)]
    this.#saved = { ...saved, from, upTo }
    this.#upTo = upTo
    this.#reuses = saved.reuses
    const answeredAt = performance.now()
    // In the order of time: of the messages with one packet id, in whichever partition, the last one counts.
    const period = { after: from, until: await this.#bus.head(), filter: [{ types }] }
    for await (const { event, position } of readByTime(this.#bus, period)) {
      if (event.source !== source) continue
      const parsed = this.#parse(event.id)
      if (!parsed) continue
      this.#upTo = advance(this.#upTo, position)
      if (parsed.packetId === 0) this.#addByOwnId({ ...parsed, position, answeredAt })
      else this.#addByPacketId({ ...parsed, position, answeredAt })
      if (parsed.qos === 2 && isCovered(upTo, position) && !saved.waiting.includes(parsed.packetId))
        this.#byPacketId.delete(parsed.packetId)
    }
  }

  #addByOwnId(known: KnownMessage): KnownMessage {
    this.#byOwnId.set(known.id, known)
    if (this.#byOwnId.size > maxKnown) this.#byOwnId.delete(this.#byOwnId.keys().next().value!)
    return known
  }

  #addByPacketId(known: KnownMessage): KnownMessage {
    // Deleted first, so that the entry moves to the end.
    const before = this.#byPacketId.get(known.packetId)
    if (before?.qos === 1 && before.answeredAt !== undefined) this.#reuses = true
    this.#byPacketId.delete(known.packetId)
    this.#byPacketId.set(known.packetId, known)
    if (this.#byPacketId.size > maxKnown)
      for (const [packetId, { qos }] of this.#byPacketId) {
        // QoS 2 messages must be known until their PUBREL.
        if (qos === 2) continue
        this.#byPacketId.delete(packetId)
        break
      }
    return known
  }

  #parse(id: string): Pick<KnownMessage, 'id' | 'qos' | 'packetId' | 'digest'> | undefined {
    if (id.startsWith('mqtt:id:')) return { id, qos: 0, packetId: 0, digest: '' }
    const match = /^mqtt:([0-9a-f]{12}):([12]):(\d+):([0-9a-f]{32}):[0-9a-f]{12}$/.exec(id)
    if (match?.[1] !== this.#key) return undefined
    return { id, qos: Number(match[2]) as 1 | 2, packetId: Number(match[3]), digest: match[4]! }
  }
}
