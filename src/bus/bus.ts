import { checkedData, createEvent, type AnyEventType, type CloudEvent, type Draft } from '../event.ts'
import { TidingsError } from '../errors.ts'
import { compileFilter, type Filter } from '../pattern.ts'
import { copyOf, jsonOf, maxDepth } from '../json.ts'
import { checkEnvelope } from './decode.ts'
import { Documents } from './documents.ts'
import type { BlobStore, Delivery, Driver, EncodedEvent, Position } from './driver.ts'
import { correlationFor } from './ids.ts'
import { LogAccess } from './log-access.ts'
import { carriedEvent, routedType, type RoutedData } from './routed.ts'
import { forkTypes, plainRedactor, type Redactor } from './redact.ts'
import { metrics } from './telemetry/metrics.ts'
import { tracePublish } from './telemetry/spans.ts'
import { detectSdk } from './telemetry/tracing.ts'

export interface BusOptions {
  /** Maximum size of the data of one event as JSON, in bytes. Default 4 MiB. */
  maxBytes?: number
  /** Larger data, in bytes, is stored in a blob. Default 8 KiB. */
  inlineBytes?: number
  /** Redacts everything that is stored. Default: built-in secret formats. */
  redactor?: Redactor
  /** Stores large data. Default: the blob store of the driver. */
  blobs?: BlobStore
  /** Event types whose data is checked when it is published. Default: none. */
  events?: readonly AnyEventType[]
}

export interface PublishedEvent {
  id: string
  /** If the id was on the log already: the correlation of the first event. */
  correlationid: string
  position: Position
  /** The driver knows that the id is on the log already, and nothing was written. A broker may have forgotten an old id. */
  duplicate: boolean
}

/** The only caller of drivers: validation, redaction, limits, blobs for large data, delivery. */
export class Bus extends LogAccess {
  readonly redactor: Redactor
  readonly documents: Documents
  readonly #options: BusOptions
  readonly #publisher: { readonly system: string; readonly redactor: Redactor }
  readonly #blobs: BlobStore
  readonly #maxBytes: number
  readonly #inlineBytes: number
  readonly #events: ReadonlyMap<string, readonly AnyEventType[]>

  constructor(driver: Driver, options: BusOptions = {}) {
    super(driver)
    detectSdk()
    this.#options = options
    this.redactor = options.redactor ?? plainRedactor
    this.documents = new Documents(this.documentStore, this.redactor)
    this.#blobs = options.blobs ?? blobsOf(driver)
    this.#publisher = { system: driver.name, redactor: this.redactor }
    this.#maxBytes = options.maxBytes ?? 4 * 1024 * 1024
    this.#inlineBytes = options.inlineBytes ?? 8 * 1024
    this.#events = Map.groupBy(options.events ?? [], ({ type }) => type)
  }

  /** The event types that the app declares. */
  get events(): readonly AnyEventType[] {
    return this.#options.events ?? []
  }

  /** The same log with other redaction rules. */
  withRedactor(redactor: Redactor): Bus {
    return new Bus(this.driver, { ...this.#options, redactor })
  }

  /** Resolves when the event is durable. @throws E_EVENT_INVALID, also for data that does not match a declared type, E_EVENT_TOO_LARGE, E_LOG_UNAVAILABLE */
  async publish<T>(draft: Draft<T>): Promise<PublishedEvent> {
    return (await this.publishAll([draft]))[0]!
  }

  /**
   * Publishes events of one correlation atomically, in this order. Events of several are stored in order within each correlation; if this
   * rejects, a part of them may be stored, and the caller publishes the same ids again.
   */
  async publishAll(drafts: readonly Draft[]): Promise<PublishedEvent[]> {
    for (const draft of drafts) {
      this.redactor.assertNames(draft)
      for (const declared of this.#events.get(draft.type) ?? []) checkedData(declared, draft.data)
    }
    const events = drafts.map(draft => createEvent({ ...draft, correlationid: correlationFor(draft) }))
    return tracePublish(this.#publisher, events, traced => this.#publish(traced))
  }

  async #publish(events: readonly CloudEvent[]): Promise<PublishedEvent[]> {
    const entries = await this.encodeAll(events)
    const appended = await this.whenUsable(() => this.driver.publish(entries))
    for (const [i, { event }] of entries.entries()) if (!appended[i]!.duplicate) metrics.published.add(1, event.type)
    return Promise.all(
      entries.map(async ({ event: { id, correlationid } }, i) => {
        const first = appended[i]!.duplicate ? await this.get(id, correlationid) : undefined
        return { id, correlationid: first?.correlationid ?? correlationid, ...appended[i]! }
      }),
    )
  }

  /** False if the id of this draft was claimed before, so that the announced action may have happened already. */
  claim(delivery: Delivery, draft: Draft): Promise<boolean> {
    return tracePublish(this.#publisher, [createEvent(draft)], ([event]) =>
      this.whenUsable(() => this.driver.claim(delivery, this.encode(event!))),
    )
  }

  /** Validates, redacts and encodes events. Large data is stored in blobs, which are durable when this resolves. */
  encodeAll(events: readonly CloudEvent[]): Promise<EncodedEvent[]> {
    return this.#offloadAll(events.map(event => this.encode(event)))
  }

  /**
   * Encodes a turn and the events that it emitted, which are stored together and were redacted when they were published or emitted. Data
   * moves to blobs until all of it fits. @throws E_TURN_TOO_LARGE
   */
  async encodeTurn(turn: CloudEvent, events: readonly CloudEvent[]): Promise<EncodedEvent[]> {
    for (const event of events) checkEnvelope(event)
    const emitted = events.map(event => ({ event, json: JSON.stringify(event) }))
    const entries = await this.#offloadAll([await this.#turnEntry(turn), ...emitted])
    if (bytesOf(entries) <= maxTurnBytes) return entries
    const light = await this.#offloadAll(entries, referenceBytes)
    const bytes = bytesOf(light)
    if (bytes > maxTurnBytes) throw tooLarge(turn, bytes, maxTurnBytes)
    return light
  }

  /** If the inputs of a turn are too large, their data is stored in blobs. */
  async #turnEntry(turn: CloudEvent): Promise<EncodedEvent> {
    const json = JSON.stringify(turn)
    if (!isLarger(json, this.#maxBytes)) return { event: turn, json }
    const data = turn.data as { readonly inputs: readonly CloudEvent[] }
    const inputs = data.inputs.map(event => ({ event, json: JSON.stringify(event) }))
    const light = (await this.#offloadAll(inputs, referenceBytes)).map(({ event }) => event)
    const event = { ...turn, data: { ...data, inputs: light } }
    const lightJson = JSON.stringify(event)
    if (isLarger(lightJson, this.#maxBytes)) throw tooLarge(turn, Buffer.byteLength(lightJson), this.#maxBytes)
    return { event, json: lightJson }
  }

  async #offloadAll(entries: EncodedEvent[], inlineBytes = this.#inlineBytes): Promise<EncodedEvent[]> {
    if (!entries.some(({ json }) => isLarger(json, inlineBytes))) return entries
    const light: EncodedEvent[] = []
    // A few at a time, because each is a file or a request to the broker.
    for (let i = 0; i < entries.length; i += blobsAtOnce)
      light.push(
        ...(await Promise.all(entries.slice(i, i + blobsAtOnce).map(each => this.#offloadEntry(each, inlineBytes)))),
      )
    return light
  }

  /** Encodes a copy of the data, so that later changes of the object have no effect. */
  encode(event: CloudEvent): EncodedEvent {
    const clean = this.redactor.event(this.#withJsonData(this.#stamped(event)))
    checkEnvelope(clean)
    return { event: clean, json: JSON.stringify(clean) }
  }

  /** With the time of the log's own clock, if it has one. */
  #stamped(event: CloudEvent): CloudEvent {
    return this.driver.now === undefined ? event : { ...event, time: new Date(this.now()).toISOString() }
  }

  #withJsonData(event: CloudEvent): CloudEvent {
    // An event of maximum depth may be contained in another one: `{ event: { data } }`.
    const more = event.type === routedType ? 2 : forkTypes.includes(event.type) ? maxDepth : 0
    const depth = maxDepth + more
    return { ...event, data: jsonOf(event.data, `the data of ${event.type}`, 'E_EVENT_INVALID', depth) }
  }

  /** Stores bytes as a blob, redacted if they are text. Returns the reference and the size after redaction. */
  async putBlob(tenant: string, bytes: Uint8Array): Promise<{ blob: string; bytes: number }> {
    const clean = this.redactor.bytes(bytes)
    return { blob: await this.#blobs.put(tenant, clean), bytes: clean.length }
  }

  /** @throws E_BLOB_MISSING */
  getBlob(tenant: string, reference: string): Promise<Uint8Array> {
    return this.#blob(tenant, reference, `tenant "${tenant}" has no blob ${reference}`)
  }

  findBlob(tenant: string, reference: string): Promise<Uint8Array | undefined> {
    return this.#blobs.get(tenant, reference)
  }

  async #blob(tenant: string, reference: string, missing: string): Promise<Uint8Array> {
    const bytes = await this.#blobs.get(tenant, reference)
    if (!bytes) throw new TidingsError('E_BLOB_MISSING', missing)
    return bytes
  }

  async #offloadEntry(entry: EncodedEvent, inlineBytes: number): Promise<EncodedEvent> {
    if (entry.event.dataref || !isLarger(entry.json, inlineBytes)) return entry
    const carried = carriedEvent(entry.event)
    const light =
      carried && (await this.#offloadEntry({ event: carried, json: JSON.stringify(carried) }, inlineBytes)).event
    if (light === carried) return this.#offloadData(entry, inlineBytes)
    const event = { ...entry.event, data: { event: light } }
    return this.#offloadData({ event, json: JSON.stringify(event) }, inlineBytes)
  }

  async #offloadData(entry: EncodedEvent, inlineBytes: number): Promise<EncodedEvent> {
    if (!isLarger(entry.json, inlineBytes)) return entry
    const bytes = new TextEncoder().encode(JSON.stringify(entry.event.data))
    if (bytes.length > this.#maxBytes)
      throw new TidingsError(
        'E_EVENT_TOO_LARGE',
        `the data of "${entry.event.type}" has ${bytes.length} bytes; the maximum is ${this.#maxBytes}: store large content in a blob and publish its reference`,
      )
    if (bytes.length <= inlineBytes) return entry
    const dataref = await this.#blobs.put(entry.event.tenant, bytes)
    const { data: _, ...envelope } = entry.event
    const event: CloudEvent = { ...envelope, dataref, data: null }
    return { event, json: JSON.stringify(event) }
  }

  /** Like {@link resolve}, but an event whose blob was purged keeps its `dataref`. */
  async resolveIfStored(event: CloudEvent): Promise<CloudEvent> {
    try {
      return await this.resolve(event)
    } catch (error) {
      if (error instanceof TidingsError && error.code === 'E_BLOB_MISSING') return event
      throw error
    }
  }

  /** Fetches data from blobs: that of the event, and that of the event inside a `workflow.event`. @throws E_BLOB_MISSING */
  async resolve(event: CloudEvent): Promise<CloudEvent> {
    const own = event.dataref ? await this.#withData(event) : event
    const carried = carriedEvent(own)
    return carried?.dataref ? { ...own, data: { event: await this.#withData(carried) } satisfies RoutedData } : own
  }

  async #withData(event: CloudEvent): Promise<CloudEvent> {
    const bytes = await this.#blob(
      event.tenant,
      event.dataref!,
      `the blob ${event.dataref} with the data of event ${event.id} is missing`,
    )
    const { dataref: _, ...envelope } = event
    return { ...envelope, data: JSON.parse(new TextDecoder().decode(bytes)) }
  }

  /** `correlation`: that of the event; `correlationOf(id)` for ids that the runtime minted. */
  async get(id: string, correlation: string): Promise<CloudEvent | undefined> {
    return (await this.driver.get(id, correlation))?.event
  }

  /** Sends an event that is not stored. Only current listeners receive it, and it may be lost. */
  signal(draft: Draft): void {
    this.driver.sendSignal(this.redactor.event(this.#withJsonData(createEvent(draft))))
  }

  onSignal(filter: Filter, callback: (event: CloudEvent) => void): () => void {
    const matches = compileFilter(filter)
    return this.driver.onSignal(event => {
      if (matches(event)) callback(copyOf(event))
    })
  }
}

/** Maximum bytes of a turn and its events, which are one transaction, or one message with its body in a blob. */
const maxTurnBytes = 16 * 1024 * 1024
/** Smaller data stays inline: the reference to a blob alone has 71 bytes. */
const referenceBytes = 256
const blobsAtOnce = 64

const bytesOf = (entries: readonly EncodedEvent[]) =>
  entries.reduce((sum, { json }) => sum + Buffer.byteLength(json), 0)
const tooLarge = ({ id }: CloudEvent, bytes: number, maxBytes: number) =>
  new TidingsError('E_TURN_TOO_LARGE', `turn ${id} has ${bytes} bytes; the maximum is ${maxBytes}`)

// A UTF-16 unit has one to three bytes in UTF-8, so most texts need no counting.
const isLarger = (json: string, bytes: number) =>
  json.length > bytes || (json.length * 3 > bytes && Buffer.byteLength(json) > bytes)

function blobsOf({ name, blobs }: Driver): BlobStore {
  if (blobs) return blobs
  throw new TidingsError(
    'E_SETTING_INVALID',
    `the driver "${name}" cannot keep large data: pass a blob store, as in start(app, { blobs })`,
  )
}
