import { randomBytes } from 'node:crypto'
import type { Bus } from '../../bus/bus.ts'
import type { Position } from '../../bus/driver.ts'
import { shortDigest, type MqttMessage } from './message.ts'

/*
 * What of a session is on the log, so that a message that the broker sends again is not published again. MQTT names a message by
 * nothing but a packet id, which is free for another one once it is acknowledged. So the id of an event says by which packet id and
 * QoS its message came, and what it held:
 *
 *     mqtt:CLIENT:QOS:PACKET:DIGEST:RANDOM
 *
 * After a restart these are read from the log, from a position on that a document of the session names. Whether a message is
 * one of these:
 *
 *     packet id     QoS 2, no PUBREL yet, same content       it is (MQTT 5.0, 4.3.3)
 *     is known      QoS 1, not answered by us yet, same      it is: the broker may not use the packet id for another one
 *                   QoS 1, answered, same, and DUP           it is, unless this broker uses packet ids again at once
 *                   else                                     it is another one
 *     is not known                                           it is another one
 *
 * In the third case nothing would tell a message whose PUBACK was lost from the next one with the same content. Most brokers
 * count packet ids up to 65,535, so there it is the former. Where a broker was seen to do otherwise, such a message is
 * published, since at QoS 1 it may come twice, and must not be lost. Packet ids are forgotten when the broker must have heard our
 * answer: when it has answered something that was sent later.
 */

const kept = 1_000
const savedEvery = 500

export interface KnownMessage {
  readonly id: string
  readonly packetId: number
  readonly qos: 0 | 1 | 2
  readonly digest: string
  /** Undefined: whether it is on the log is not known. */
  position: Position | undefined
  /** When it was answered, by `performance.now()`: in an earlier process, when it was read. Undefined: not yet. */
  answeredAt: number | undefined
}

/** The document of a session. */
interface Saved {
  /** What is subscribed to; not sure while a connection is made, since the broker may have lost the session. */
  filters: readonly string[]
  sure: boolean
  /** Nothing up to here matters any more. */
  from: Position
  /** Of the messages of QoS 2 up to here only those with these packet ids wait for their PUBREL. */
  upTo: Position
  waiting: number[]
  /** The broker was seen to use a packet id again while it was known. */
  reuses: boolean
}

export class Session {
  readonly #bus: Bus
  readonly #key: string
  /** By packet id, the oldest first. */
  readonly #known = new Map<number, KnownMessage>()
  /** Those with an id of their own, the oldest first. */
  readonly #named = new Map<string, KnownMessage>()
  #saved: Saved = { filters: [], sure: false, from: 0, upTo: 0, waiting: [], reuses: false }
  #upTo = 0
  #reuses = false
  #unsaved = 0
  #writing: Promise<unknown> = Promise.resolve()

  private constructor(bus: Bus, clientId: string) {
    this.#bus = bus
    this.#key = shortDigest(clientId).slice(0, 12)
  }

  /** What the log knows of it. `types`: of the events that its messages become. */
  static async open(
    bus: Bus,
    { clientId, source, types }: { clientId: string; source: string; types: readonly string[] },
  ): Promise<Session> {
    const session = new Session(bus, clientId)
    if (await session.#load()) await session.#recall(source, types)
    return session
  }

  /** What is subscribed to, as far as that is sure. */
  get filters(): readonly string[] {
    return this.#saved.sure ? this.#saved.filters : []
  }

  /** What may be subscribed to. */
  get possibleFilters(): readonly string[] {
    return this.#saved.filters
  }

  /** The broker has no session any more: packet ids begin again, and there are no subscriptions. */
  async reset(): Promise<void> {
    this.#known.clear()
    await this.save({ filters: [], sure: true })
  }

  /** By what the message is known, or from now on will be. */
  identify({ packetId, qos, dup, digest, ownId }: MqttMessage): KnownMessage {
    const named = ownId === undefined ? undefined : this.#named.get(ownId)
    if (named) return named
    const fresh = { packetId, qos, digest, position: undefined, answeredAt: undefined }
    if (ownId !== undefined) return this.#name({ ...fresh, id: ownId })
    const known = this.#known.get(packetId)
    if (qos > 0 && known?.qos === qos && known.digest === digest)
      if (qos === 2 || known.answeredAt === undefined || (dup && !this.#reuses)) return known
    const id = `mqtt:${this.#key}:${qos}:${packetId}:${digest}:${randomBytes(6).toString('hex')}`
    return qos === 0 ? { ...fresh, id } : this.#add({ ...fresh, id })
  }

  /** It is not on the log, and need not be. */
  forget(known: KnownMessage): void {
    if (this.#known.get(known.packetId) === known) this.#known.delete(known.packetId)
    this.#named.delete(known.id)
  }

  /** It is on the log. */
  async markStored(known: KnownMessage, position: Position): Promise<void> {
    known.position = position
    this.#upTo = Math.max(this.#upTo, position)
    if (known.qos > 0 && ++this.#unsaved >= savedEvery) await this.save()
  }

  /** The broker will not send what had this packet id again: on disk before it hears that we know. */
  async release(packetId: number): Promise<void> {
    if (this.#known.get(packetId)?.qos !== 2) return
    this.#known.delete(packetId)
    await this.save()
  }

  /** The broker has heard what we said before this moment: what was answered then it will not send again. */
  async forgetAnswered(before: number): Promise<void> {
    const size = this.#known.size + this.#named.size
    for (const [key, { qos, answeredAt = Infinity }] of this.#known)
      if (qos === 1 && answeredAt < before) this.#known.delete(key)
    for (const [key, { qos, answeredAt = Infinity }] of this.#named)
      if (qos === 0 || answeredAt < before) this.#named.delete(key)
    if (this.#known.size + this.#named.size < size) await this.save()
  }

  /** Writes the document. Whoever else has the same client id is at odds with us at the broker; here the last one stands. */
  save(changes: Partial<Pick<Saved, 'filters' | 'sure'>> = {}): Promise<void> {
    const written = this.#writing.then(() => this.#write(changes))
    this.#writing = written.catch(() => {})
    return written
  }

  async #write(changes: Partial<Saved>): Promise<void> {
    // Looked up before, so that whatever is stored from now on lies behind it.
    const head = await this.#bus.head()
    const positions = [...this.#known.values(), ...this.#named.values()].map(({ position }) => position)
    const isSettled = !positions.includes(undefined)
    const saved: Saved = {
      filters: this.#saved.filters,
      sure: this.#saved.sure,
      ...changes,
      from: isSettled
        ? positions.reduce((oldest: number, position) => Math.min(oldest, position! - 1), head)
        : this.#saved.from,
      upTo: this.#upTo,
      waiting: [...this.#known.values()].filter(({ qos }) => qos === 2).map(({ packetId }) => packetId),
      reuses: this.#reuses,
    }
    // A filter that holds a secret is subscribed to anew after a restart.
    const written = { ...saved, filters: saved.filters.map(filter => this.#bus.redactor.text(filter)) }
    await this.#bus.documents.replaceText(this.#document, JSON.stringify(written))
    this.#saved = saved
    this.#unsaved = 0
  }

  /** Whether this is what a topic retained when it was taken last. */
  async wasRetained({ topic, digest }: MqttMessage): Promise<boolean> {
    return (await this.#bus.documents.readText(this.#retained(topic))) === digest
  }

  async markRetained({ topic, digest }: MqttMessage): Promise<void> {
    await this.#bus.documents.replaceText(this.#retained(topic), digest)
  }

  get #document(): string {
    return `mqtt/${this.#key}`
  }

  #retained(topic: string): string {
    return `mqtt/${this.#key}/retained/${shortDigest(topic)}`
  }

  async #load(): Promise<boolean> {
    const saved = await this.#bus.documents.read<Saved>(this.#document)
    if (!saved) return false
    this.#saved = saved
    this.#upTo = this.#saved.upTo
    this.#reuses = this.#saved.reuses
    return true
  }

  async #recall(source: string, types: readonly string[]): Promise<void> {
    const { from, upTo, waiting } = this.#saved
    const answeredAt = performance.now()
    for await (const { event, position } of this.#bus.read({ after: from, filter: [{ types }] })) {
      if (event.source !== source) continue
      const parsed = this.#parse(event.id)
      if (!parsed) continue
      this.#upTo = Math.max(this.#upTo, position)
      if (parsed.packetId === 0) this.#name({ ...parsed, position, answeredAt })
      else this.#add({ ...parsed, position, answeredAt })
      if (parsed.qos === 2 && position <= upTo && !waiting.includes(parsed.packetId))
        this.#known.delete(parsed.packetId)
    }
  }

  #name(known: KnownMessage): KnownMessage {
    this.#named.set(known.id, known)
    if (this.#named.size > kept) this.#named.delete(this.#named.keys().next().value!)
    return known
  }

  #add(known: KnownMessage): KnownMessage {
    // A new entry goes to the end.
    const before = this.#known.get(known.packetId)
    if (before?.qos === 1 && before.answeredAt !== undefined) this.#reuses = true
    this.#known.delete(known.packetId)
    this.#known.set(known.packetId, known)
    if (this.#known.size > kept)
      for (const [packetId, { qos }] of this.#known) {
        // The protocol holds it for as long as its PUBREL is missing.
        if (qos === 2) continue
        this.#known.delete(packetId)
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
