import { randomUUID } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import type { Commit, EncodedEvent, TaskJournal } from '../../bus/driver.ts'
import { correlationOf } from '../../bus/ids.ts'
import { TidingsError } from '../../errors.ts'
import type { CloudEvent } from '../../event.ts'
import type { Blobs } from './blobs.ts'
import type { LogConnection } from './connection.ts'
import type { NatsLog } from './nats-log.ts'
import { duplicateWindowMs } from './provision.ts'
import type { EventPublisher } from './publisher.ts'
import type { StoredMessage } from './stored-message.ts'
import { type Message, msgId, type Stream } from './stream.ts'
import type { TaskTombstones } from './task-tombstones.ts'

/*
 * A turn is one message on the subject of its task: the turn, the events that it emitted, and a snapshot if there is one,
 * one JSON text a line. It is stored only after the turn that its writer saw (expected-last-subject-sequence). Then its
 * events are published, each on its own subject. If the writer dies in between, the next reader of the journal or the next
 * owner of the shard publishes them from the turn.
 *
 *     fence ── stored ──▶ events published ──▶ inputs acknowledged
 *       │        └── dies ──▶ inputs are redelivered ──▶ the journal is read ──▶ events published
 *       └── refused ──▶ conflict
 */

export const turnHeaders = {
  group: 'Tidings-Group',
  version: 'Tidings-Version',
  events: 'Tidings-Events',
  wake: 'Tidings-Wake',
  end: 'Tidings-End',
  /** This turn carries a snapshot as its last line. */
  snapshot: 'Tidings-Snapshot',
  /** Sequence of the newest turn before this one that carries a snapshot. */
  snapshotAt: 'Tidings-Snapshot-At',
  /** Sequence of the turn from which the task is read: the newest before this one that carries a snapshot, else the first. */
  origin: 'Tidings-Origin',
  by: 'Tidings-By',
  /** The lines are stored in a blob. */
  body: 'Tidings-Body',
} as const

/** The newest turn of a task that this process knows. */
interface Head {
  readonly version: number
  readonly seq: number
  readonly ended: boolean
  /** Sequence of the newest turn with a snapshot, 0 for none. */
  readonly snapshotAt: number
  /** Sequence of the turn from which the task is read, 0 where that is not known. */
  readonly origin: number
}

const noTurn: Head = { version: 0, seq: 0, ended: false, snapshotAt: 0, origin: 0 }
/** Between the servers of a cluster. */
const clockSkewMs = 10_000
const maxHeads = 16_384
export const blobTenant = 'tidings-turns'
/** Headers and the protocol need room beside the lines. */
export const payloadReserveBytes = 16 * 1024

/** A stored turn, as a reader would see it. */
export type StoredTurn = Pick<StoredMessage, 'seq' | 'header'>

/** What the store of turns works with. */
export interface TurnsContext {
  readonly connection: LogConnection
  readonly log: NatsLog
  readonly blobs: Blobs
  readonly tombstones: TaskTombstones
  readonly publisher: EventPublisher
}

export class Turns {
  readonly #connection: LogConnection
  readonly #log: NatsLog
  readonly #blobs: Blobs
  readonly #tombstones: TaskTombstones
  readonly #publisher: EventPublisher
  readonly #heads = new Map<string, Head>()

  constructor({ connection, log, blobs, tombstones, publisher }: TurnsContext) {
    this.#connection = connection
    this.#log = log
    this.#blobs = blobs
    this.#tombstones = tombstones
    this.#publisher = publisher
  }

  /** Stores the turn, then its events, until `givesUp`. Undefined on a conflict. */
  async commit(commit: Commit, givesUp: () => boolean): Promise<StoredTurn | undefined> {
    const { task, expect, events } = commit
    // Encode first: it must fail before anything is stored.
    const lines = [commit.turn.json, ...events.map(({ json }) => json)]
    const head = await this.#expected(task, expect)
    if (!head) return undefined
    const message = await this.#message(commit, lines, head)
    const seq = await this.#store(task, head, message)
    if (seq === undefined) {
      this.#heads.delete(task)
      return undefined
    }
    const snapshotAt = commit.snapshot === undefined ? head.snapshotAt : seq
    const origin = expect === 0 || commit.snapshot !== undefined ? seq : head.origin
    this.#remember(task, { version: expect + 1, seq, ended: commit.end ?? false, snapshotAt, origin })
    await this.publishEvents(events, givesUp)
    return { seq, header: name => String(message.headers[name] ?? '') }
  }

  async journal(
    task: string,
    repairOf: (newest: StoredMessage) => TurnRepair,
  ): Promise<TaskJournal & { readonly newest?: StoredMessage }> {
    const subject = this.#log.names.turn(task)
    const newest = await this.#streamOf(task).last(subject)
    if (!newest) return { records: [] }
    let head = headOf(newest)
    const messages = head.version === 1 || head.snapshotAt === newest.seq ? [newest] : await this.#messages(task, head)
    if (head.origin === 0) head = { ...head, origin: messages[0]!.seq }
    const records: CloudEvent[] = []
    let snapshot: TaskJournal['snapshot']
    let last: TurnLines | undefined
    for (const stored of messages) {
      last = await this.read(stored)
      if (last.snapshot !== undefined && stored.seq === head.snapshotAt)
        snapshot = { version: Number(stored.header(turnHeaders.version)), state: last.snapshot }
      else records.push(last.turn, ...last.events.map(({ event }) => event))
    }
    this.#remember(task, head)
    const repair = repairOf(newest)
    if (repair !== 'none')
      await this.complete(newest, { ...(last && { lines: last }), onlyRecent: repair === 'recent' })
    return { ...(snapshot && { snapshot }), records, newest }
  }

  async newestOf(correlation: string): Promise<CloudEvent[]> {
    const newest = await this.#log.streamOf(correlation).lastOfEach(this.#log.names.turnsOf(correlation))
    return Promise.all(newest.map(async stored => (await this.read(stored)).turn))
  }

  /** Publishes the events of a turn that are not on the log, because its writer died. `known` saves looking for them. */
  async complete(
    stored: StoredMessage,
    { lines, missing, from = stored.seq, onlyRecent = false }: KnownRepair = {},
  ): Promise<void> {
    if (Number(stored.header(turnHeaders.events)) === 0) return
    if (onlyRecent && !mayBeKnownById(stored)) return
    const { turn, events } = lines ?? (await this.read(stored))
    const left = new Map(events.map(entry => [entry.event.id, entry]))
    if (missing) for (const id of left.keys()) if (!missing.includes(id)) left.delete(id)
    if (!(await this.#isDecidedById(stored, turn.correlationid, left))) {
      if (onlyRecent) return
      const subject = `${this.#log.names.log}.e.${this.#log.names.shardOf(turn.correlationid)}.>`
      for await (const { header } of this.#log.streamOf(turn.correlationid).scan({ subject, from, page: 16 })) {
        left.delete(decodeId(header(msgId)))
        if (left.size === 0) return
      }
    }
    await Promise.all([...left.values()].map(entry => this.#publisher.publish([entry])))
  }

  /**
   * Drops the events that the server knows by their ids. True when the others cannot be on the log: events are stored after their turn,
   * which was stored so recently that the server would know them.
   */
  async #isDecidedById(stored: StoredMessage, correlationid: string, left: Map<string, unknown>): Promise<boolean> {
    if (!mayBeKnownById(stored)) return false
    const stream = this.#log.streamOf(correlationid)
    const subject = this.#log.names.event({ correlationid, type: 'lookup' })
    await Promise.all(
      [...left.keys()].map(async id => {
        if ((await stream.find(subject, encodeId(id))) !== undefined) left.delete(id)
      }),
    )
    if (left.size === 0) return true
    const { ts, config } = await stream.info()
    return Date.parse(ts) - stored.at < config.duplicate_window / 1e6 - clockSkewMs
  }

  clearHeads(): void {
    this.#heads.clear()
  }

  async #expected(task: string, expect: number): Promise<Head | undefined> {
    let head = this.#heads.get(task)
    if (!head && expect === 0) {
      if (await this.#tombstones.has(task)) return undefined
      head = noTurn
    }
    if (!head || head.version < expect) {
      const newest = await this.#streamOf(task).last(this.#log.names.turn(task))
      head = newest ? headOf(newest) : noTurn
      this.#remember(task, head)
    }
    return head.version === expect && !head.ended ? head : undefined
  }

  /** Undefined on a conflict. After a lost answer the newest turn shows whether this one was stored. */
  async #store(task: string, head: Head, message: Message): Promise<number | undefined> {
    const stream = this.#streamOf(task)
    let wasSent = false
    const ownSeq = (newest: StoredMessage | undefined) =>
      newest?.header(turnHeaders.by) === message.headers[turnHeaders.by] ? newest!.seq : undefined
    return this.#connection.retryUntilAnswered(async () => {
      if (wasSent) {
        const newest = await stream.last(message.subject)
        if (ownSeq(newest) !== undefined || (newest?.seq ?? 0) !== head.seq) return ownSeq(newest)
      }
      wasSent = true
      const seq = await this.storeAfter(stream, head.seq, message)
      if (seq !== undefined) return seq
      return ownSeq(await stream.last(message.subject))
    })
  }

  async #message(commit: Commit, lines: string[], head: Head): Promise<Message> {
    const { group, task, expect, events, wake, snapshot, end } = commit
    if (snapshot !== undefined) lines.push(JSON.stringify(snapshot))
    let body: string | Uint8Array = lines.join('\n')
    const headers: Record<string, string | number> = {
      [turnHeaders.group]: encodeURIComponent(group),
      [turnHeaders.version]: expect + 1,
      [turnHeaders.by]: randomUUID(),
      ...(events.length > 0 && { [turnHeaders.events]: events.length }),
      [turnHeaders.wake]: wake ?? 'none',
      ...(end && { [turnHeaders.end]: 1 }),
      ...(snapshot !== undefined && { [turnHeaders.snapshot]: 1 }),
      ...(head.snapshotAt > 0 && { [turnHeaders.snapshotAt]: head.snapshotAt }),
      ...(head.origin > 0 && { [turnHeaders.origin]: head.origin }),
    }
    if (body.length * 3 > this.#connection.maxPayload - payloadReserveBytes) {
      const bytes = Buffer.from(body)
      if (bytes.length > this.#connection.maxPayload - payloadReserveBytes) {
        headers[turnHeaders.body] = await this.#blobs.put(blobTenant, bytes)
        body = ''
      }
    }
    return { subject: this.#log.names.turn(task), body, headers }
  }

  /** Stores a turn only after the turn that its writer saw. Undefined on a conflict. */
  protected storeAfter(stream: Stream, seq: number, message: Message): Promise<number | undefined> {
    return stream.appendAfter(seq, message)
  }

  protected async publishEvents(events: Commit['events'], givesUp: () => boolean): Promise<void> {
    await Promise.all(events.map(entry => this.#publishUntilStored(entry, givesUp)))
  }

  /**
   * The turn is accepted, so its events are retried for as long as the broker is unavailable. If this process stops first, the
   * next reader of the journal publishes them. @throws TidingsError
   */
  async #publishUntilStored(entry: EncodedEvent, givesUp: () => boolean): Promise<void> {
    for (;;) {
      try {
        return void (await this.#publisher.publish([entry]))
      } catch (error) {
        if (!(error instanceof TidingsError && error.retryable) || givesUp()) throw error
        await setTimeout(500)
      }
    }
  }

  /** The turns from the newest snapshot; retries while a replica lags. */
  async #messages(task: string, head: Head): Promise<StoredMessage[]> {
    const from = head.origin || head.snapshotAt || 1
    const [stream, subject] = [this.#streamOf(task), this.#log.names.turn(task)]
    for (;;) {
      const messages = await Array.fromAsync(stream.scan({ subject, from, until: head.seq }))
      if (messages.at(-1)?.seq === head.seq) return messages
    }
  }

  async read(stored: Pick<StoredMessage, 'header' | 'text'>): Promise<TurnLines> {
    const ref = stored.header(turnHeaders.body)
    const bytes = ref ? await this.#blobs.get(blobTenant, ref) : undefined
    const lines = (bytes ? Buffer.from(bytes).toString() : stored.text()).split('\n')
    const snapshot = stored.header(turnHeaders.snapshot) ? (JSON.parse(lines.pop()!) as string) : undefined
    const [turn, ...events] = lines
    return {
      turn: JSON.parse(turn!) as CloudEvent,
      json: turn!,
      events: events.map(json => ({ event: JSON.parse(json) as CloudEvent, json })),
      ...(snapshot !== undefined && { snapshot }),
    }
  }

  #streamOf(task: string): Stream {
    return this.#log.streamOf(correlationOf(task))
  }

  #remember(task: string, head: Head): void {
    this.#heads.delete(task)
    this.#heads.set(task, head)
    if (this.#heads.size > maxHeads) this.#heads.delete(this.#heads.keys().next().value!)
  }
}

export interface TurnLines {
  readonly turn: CloudEvent
  /** Its text. */
  readonly json: string
  readonly events: readonly { readonly event: CloudEvent; readonly json: string }[]
  readonly snapshot?: string
}

/** What is already known of the events of a turn. */
export interface KnownRepair {
  readonly lines?: TurnLines
  /** Ids of the events that were missing when the log had been read up to `from`. */
  readonly missing?: readonly string[]
  readonly from?: number
  /** Leave a turn alone whose events the server may not know by their ids any more. */
  readonly onlyRecent?: boolean
}

/** Which events of a turn may be missing: none, those of a turn of the last minutes, or those of any turn. */
export type TurnRepair = 'none' | 'recent' | 'all'

export const leastRepairOf = (repairs: readonly TurnRepair[]): TurnRepair =>
  repairs.includes('none') ? 'none' : repairs.includes('recent') ? 'recent' : 'all'

/** Whether the server may still know the ids of the events of a turn. */
const mayBeKnownById = ({ at }: StoredMessage) => Date.now() - at < duplicateWindowMs

function headOf(stored: StoredMessage): Head {
  return {
    version: Number(stored.header(turnHeaders.version)),
    seq: stored.seq,
    ended: stored.header(turnHeaders.end) !== '',
    snapshotAt: stored.header(turnHeaders.snapshot) ? stored.seq : Number(stored.header(turnHeaders.snapshotAt)) || 0,
    origin: originOfTurn(stored),
  }
}

/** The position from which the log must be kept for the task of this turn; 0 if the turn does not carry it. */
export function originOfTurn({ seq, header }: StoredTurn): number {
  if (header(turnHeaders.snapshot) || header(turnHeaders.version) === '1') return seq
  return Number(header(turnHeaders.origin)) || Number(header(turnHeaders.snapshotAt)) || 0
}

const plainId = /^[\x21-\x7e]+$/
/** An id as the value of a header. */
export const encodeId = (id: string) => (plainId.test(id) && !id.includes('%') ? id : encodeURIComponent(id))
export const decodeId = (text: string) => (text.includes('%') ? decodeURIComponent(text) : text)

/** The task of a turn's subject, `LOG.t.SHARD.CORRELATION.HASH`. */
export const taskOf = (subject: string) => subject.split('.').slice(-2).join('.')
