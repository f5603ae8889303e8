import { offsetsOf } from '../../bus/cursor.ts'
import type { Cursor, LogEntry, LogQuery, Position, StoredEvent } from '../../bus/driver.ts'
import { cancelId, correlationOf, isCorrelation, isTaskDerivedId, mintedAt, parseId, resultId } from '../../bus/ids.ts'
import { eventFrom } from '../../bus/malformed.ts'
import type { CloudEvent } from '../../event.ts'
import { compileFilter, type Filter } from '../../pattern.ts'
import { Follower } from './follower.ts'
import type { LogConnection } from './connection.ts'
import { coverAll, token } from './names.ts'
import type { NatsLog } from './provision.ts'
import type { RecentEvents } from './recent-events.ts'
import type { StoredMessage } from './stored-message.ts'
import { msgId } from './stream.ts'
import { decodeId, encodeId, turnHeaders, type TurnLines, type Turns } from './turns.ts'

const clockSkewMs = 60_000
const noCorrelation = '00000000-0000-0000-0000-000000000000'
const readAtOnce = 256
const maxTurnSeqs = 1_024

interface ReaderOptions {
  readonly connection: LogConnection
  readonly log: NatsLog
  readonly turns: Turns
  readonly recent: RecentEvents
  readonly newInbox: () => string
}

/**
 * Reads the log, and finds events by id, task and correlation. JetStream has no index of ids, so `get` asks three sources: the server knows
 * the ids of the last two minutes; an id that the runtime made names its journal; any other event is in the shard of its correlation, after
 * the time in the correlation id.
 */
export class Reader {
  readonly #connection: LogConnection
  readonly #log: NatsLog
  readonly #turns: Turns
  readonly #recentEvents: RecentEvents
  /** The last turn that was found of each task, and its sequence number, from which a later turn is found quickly. */
  readonly #turnSeqs = new Map<string, { version: number; seq: number }>()

  readonly #newInbox: () => string
  readonly #followers = new Set<Follower>()

  constructor({ connection, log, turns, recent, newInbox }: ReaderOptions) {
    this.#connection = connection
    this.#log = log
    this.#turns = turns
    this.#recentEvents = recent
    this.#newInbox = newInbox
  }

  read(query: LogQuery): AsyncGenerator<LogEntry> {
    if ('task' in query) return this.#task(query.task)
    const after = query.after === undefined ? 0 : toSeq(query.after)
    const until = query.until === undefined ? undefined : toSeq(query.until)
    if ('correlation' in query) return this.#correlation(query.correlation, after, until)
    return this.#scan(after, until, query.limit ?? Infinity, query.filter)
  }

  async at(positions: readonly Position[]): Promise<(StoredEvent | undefined)[]> {
    const found: (StoredEvent | undefined)[] = []
    for (let i = 0; i < positions.length; i += readAtOnce)
      found.push(
        ...(await Promise.all(
          positions.slice(i, i + readAtOnce).map(async ({ partition, offset }) => {
            const stored = partition === 0 ? await this.#log.events.at(offset) : undefined
            return stored && this.#stored(stored)
          }),
        )),
      )
    return found
  }

  async *follow(after: Cursor, filter: Filter | undefined, signal: AbortSignal): AsyncGenerator<LogEntry> {
    const matches = filter && compileFilter(filter)
    const follower = new Follower({
      connection: this.#connection,
      log: this.#log,
      subject: this.#subjectFor(filter),
      after: toSeq(after),
      newInbox: this.#newInbox,
    })
    this.#followers.add(follower)
    const stop = () => follower.stop()
    signal.addEventListener('abort', stop)
    if (signal.aborted) stop()
    try {
      for await (const { subject, seq, message } of follower.messages()) {
        const header = (name: string) => message.headers?.get(name) ?? ''
        const event = await this.#event({ subject, header, text: () => message.string() })
        if (event && (!matches || matches(event))) yield toEntry(seq, event)
      }
    } finally {
      stop()
      this.#followers.delete(follower)
      signal.removeEventListener('abort', stop)
    }
  }

  /** Resumes after a reconnect, to the same log or a new one. */
  reconnected(isNew: boolean): void {
    for (const follower of this.#followers) {
      if (isNew) follower.startOver()
      else follower.restart()
    }
  }

  close(): void {
    for (const follower of this.#followers) follower.stop()
  }

  async get(id: string, correlation: string): Promise<StoredEvent | undefined> {
    const known = this.#recentEvents.get(id)
    if (known) return known
    const derived = parseId(id)
    if (derived && derived.ordinal === undefined) return this.#turn(derived.task, derived.version)
    const recent = await this.#recent(id, correlation)
    if (recent) return recent
    const inJournal = derived && (await this.#inJournal(id, derived.task, derived.version))
    if (inJournal) return inJournal
    for await (const stored of this.#shardOf(isTaskDerivedId(id) ? correlationOf(id) : correlation))
      if (decodeId(stored.header(msgId)) === id) return this.#stored(stored)
    return undefined
  }

  /** Asks the server for recent ids, and the journal of the task that made the call; the log is not searched. */
  async isSettled(call: string): Promise<boolean> {
    const ids = [resultId(call), cancelId(call)]
    const recent = await Promise.all(ids.map(id => this.#log.events.find(this.#place(call), encodeId(id))))
    if (recent.some(seq => seq !== undefined)) return true
    const made = parseId(call)
    if (!made) return false
    const newest = await this.#log.events.last(this.#log.names.turn(made.task))
    if (!newest || Number(newest.header(turnHeaders.version)) <= made.version) return false
    for await (const { lines } of this.#journal(made.task, made.version + 1))
      if (
        inputsOf(lines).some(input => input.call === call) ||
        lines.events.some(({ event }) => ids.includes(event.id))
      )
        return true
    return false
  }

  /** The events of a correlation, in order. */
  async *#correlation(correlation: string, after: number, until: number | undefined): AsyncGenerator<LogEntry> {
    if (!isCorrelation(correlation)) return
    const subject = this.#log.names.shard(this.#log.names.shardOf(correlation))
    const from = after ? { from: after + 1 } : since(correlation)
    for await (const stored of this.#log.events.scan({ subject, ...from, ...(until !== undefined && { until }) })) {
      const found = await this.#stored(stored)
      if (found?.event.correlationid === correlation) yield toEntry(stored.seq, found.event)
    }
  }

  /** The turns of a task and what they emitted, answers included, in order. */
  async *#task(task: string): AsyncGenerator<LogEntry> {
    const first = await this.#log.events.next(this.#log.names.turn(task), 1)
    if (!first) return
    const subject = this.#log.names.shard(this.#log.names.shardOf(correlationOf(task)))
    for await (const stored of this.#log.events.scan({ subject, from: first.seq })) {
      const found = await this.#stored(stored)
      if (found?.event.id.startsWith(`${task}:`)) yield toEntry(stored.seq, found.event)
    }
  }

  async *#scan(after: number, until: number | undefined, limit: number, filter?: Filter): AsyncGenerator<LogEntry> {
    if (limit <= 0) return
    const matches = filter && compileFilter(filter)
    const subject = this.#subjectFor(filter)
    let left = limit
    const range = { from: after + 1, ...(until !== undefined && { until }), ...(subject && { subject }) }
    for await (const stored of this.#log.events.scan(range)) {
      const found = await this.#stored(stored)
      if (!found || (matches && !matches(found.event))) continue
      yield toEntry(stored.seq, found.event)
      if (--left === 0) return
    }
  }

  /** One subject that covers everything that a filter may match, where turns are not among it. */
  #subjectFor(filter: Filter | undefined): string | undefined {
    if (!filter || compileFilter(filter.map(({ types }) => ({ types })))({ type: 'task.turn' })) return undefined
    const { log } = this.#log.names
    const subjects = filter.flatMap(({ types, targets }) =>
      (targets?.map(token) ?? ['*']).flatMap(target => types.map(type => `${log}.e.*.${target}.${type}`)),
    )
    return subjects.length > 0 ? coverAll(subjects) : undefined
  }

  /** By the ids that the server knows. */
  async #recent(id: string, correlation: string): Promise<StoredEvent | undefined> {
    const seq = await this.#log.events.find(this.#place(correlation), encodeId(id))
    const stored = seq === undefined ? undefined : await this.#log.events.at(seq)
    return stored && this.#stored(stored)
  }

  /** Some subject of the log: what is asked for is never stored there. */
  #place(id: string): string {
    const correlation = id.slice(0, 36)
    return this.#log.names.event({
      correlationid: isCorrelation(correlation) ? correlation : noCorrelation,
      type: 'lookup',
    })
  }

  async #turn(task: string, version: number): Promise<StoredEvent | undefined> {
    for await (const { stored, lines } of this.#journal(task, version))
      return Number(stored.header(turnHeaders.version)) === version ? toStored(stored.seq, lines.turn) : undefined
    return undefined
  }

  /** What a turn emitted, or a later one took in. The position is that of the turn where the event's own is not known. */
  async #inJournal(id: string, task: string, version: number): Promise<StoredEvent | undefined> {
    for await (const { stored, lines } of this.#journal(task, version)) {
      const event =
        lines.events.find(each => each.event.id === id)?.event ?? inputsOf(lines).find(each => each.id === id)
      if (event) return toStored(stored.seq, event)
    }
    return undefined
  }

  /** The turns of a task from a version on. */
  async *#journal(task: string, version: number): AsyncGenerator<{ stored: StoredMessage; lines: TurnLines }> {
    const known = this.#turnSeqs.get(task)
    const from = known && known.version <= version ? known.seq : 1
    for await (const stored of this.#log.events.scan({ subject: this.#log.names.turn(task), from, page: 4 })) {
      const at = Number(stored.header(turnHeaders.version))
      if (at <= version) this.#remember(task, at, stored.seq)
      if (at >= version) yield { stored, lines: await this.#turns.read(stored) }
    }
  }

  #remember(task: string, version: number, seq: number): void {
    this.#turnSeqs.delete(task)
    this.#turnSeqs.set(task, { version, seq })
    if (this.#turnSeqs.size > maxTurnSeqs) this.#turnSeqs.delete(this.#turnSeqs.keys().next().value!)
  }

  #shardOf(correlation: string) {
    const subject = this.#log.names.shard(this.#log.names.shardOf(correlation))
    return this.#log.events.scan({ subject, ...since(correlation) })
  }

  async #stored(stored: StoredMessage): Promise<StoredEvent | undefined> {
    const event = await this.#event(stored)
    return event && toStored(stored.seq, event)
  }

  /** The event in a message; undefined if the message holds no event. */
  async #event(message: Pick<StoredMessage, 'subject' | 'header' | 'text'>): Promise<CloudEvent | undefined> {
    const kind = message.subject[this.#log.names.log.length + 1]
    if (kind === 'e') return eventFrom(message.text())
    if (kind !== 't') return undefined
    if (message.header(turnHeaders.body) === '') return eventFrom(message.text().split('\n', 1)[0]!)
    try {
      return (await this.#turns.read(message)).turn
    } catch (error) {
      // Purged with its blob, or not written by a worker of Tidings.
      if (error instanceof SyntaxError) return undefined
      throw error
    }
  }
}

/** The log has one partition: its offsets are the sequence numbers of the stream. */
const toSeq = (cursor: Cursor) => offsetsOf(cursor, 1)[0]!
const toStored = (seq: number, event: CloudEvent): StoredEvent => ({ position: { partition: 0, offset: seq }, event })
const toEntry = (seq: number, event: CloudEvent): LogEntry => ({
  cursor: String(seq),
  position: { partition: 0, offset: seq },
  event,
})

const inputsOf = ({ turn }: TurnLines) => (turn.data as { inputs?: readonly CloudEvent[] } | null)?.inputs ?? []

/** What carries a UUIDv7 was not stored before that was minted, but for clocks that differ. */
function since(id: string): { since?: Date } {
  const minted = isCorrelation(id) ? mintedAt(id) : undefined
  return minted === undefined ? {} : { since: new Date(minted - clockSkewMs) }
}
