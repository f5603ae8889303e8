import { advance, beginning, offsetsOf } from '../../bus/cursor.ts'
import type { Cursor, LogEntry, LogQuery, Position, StoredEvent } from '../../bus/driver.ts'
import { cancelId, correlationOf, isCorrelation, isTaskDerivedId, mintedAt, parseId, resultId } from '../../bus/ids.ts'
import { eventFrom } from '../../bus/malformed.ts'
import type { CloudEvent } from '../../event.ts'
import { compileFilter, type Filter } from '../../pattern.ts'
import { Following } from './following.ts'
import type { LogConnection } from './connection.ts'
import { coverAll } from './names.ts'
import type { NatsLog } from './nats-log.ts'
import type { RecentEvents } from './recent-events.ts'
import type { StoredMessage } from './stored-message.ts'
import { msgId } from './stream.ts'
import { decodeId, encodeId, turnHeaders, type TurnLines, type Turns } from './turns.ts'

const clockSkewMs = 60_000
const readAtOnce = 256
const maxTurnSeqs = 1_024

interface ReaderOptions {
  readonly connection: LogConnection
  readonly log: NatsLog
  readonly turns: Turns
  readonly recent: RecentEvents
  readonly newInbox: () => string
}

interface FoundTurn {
  readonly position: Position
  readonly version: number
  readonly lines: TurnLines
}

/** Part of a log. `from`, `until`: the offsets of `after` and of the end, by partition. */
interface Range {
  readonly after: Cursor
  readonly from: readonly number[]
  readonly until?: readonly number[]
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
  readonly #followings = new Set<Following>()

  constructor({ connection, log, turns, recent, newInbox }: ReaderOptions) {
    this.#connection = connection
    this.#log = log
    this.#turns = turns
    this.#recentEvents = recent
    this.#newInbox = newInbox
  }

  read(query: LogQuery): AsyncGenerator<LogEntry> {
    if ('task' in query) return this.#task(query.task)
    const { after = beginning, until } = query
    const range = { after, from: this.#offsets(after), ...(until !== undefined && { until: this.#offsets(until) }) }
    if ('correlation' in query) return this.#correlation(query.correlation, range)
    return this.#scan(range, query.filter)
  }

  async at(positions: readonly Position[]): Promise<(StoredEvent | undefined)[]> {
    const found: (StoredEvent | undefined)[] = []
    for (let i = 0; i < positions.length; i += readAtOnce)
      found.push(
        ...(await Promise.all(
          positions.slice(i, i + readAtOnce).map(async ({ partition, offset }) => {
            const stored = await this.#log.partitions[partition]?.at(offset)
            return stored && this.#stored(partition, stored)
          }),
        )),
      )
    return found
  }

  async *follow(after: Cursor, filter: Filter | undefined, signal: AbortSignal): AsyncGenerator<LogEntry> {
    const matches = filter && compileFilter(filter)
    const following = new Following({
      connection: this.#connection,
      log: this.#log,
      subject: this.#subjectFor(filter),
      after: this.#offsets(after),
      newInbox: this.#newInbox,
    })
    this.#followings.add(following)
    const stop = () => following.stop()
    signal.addEventListener('abort', stop)
    if (signal.aborted) stop()
    let cursor = after
    try {
      for await (const { subject, seq, message, consumer } of following.messages()) {
        const header = (name: string) => message.headers?.get(name) ?? ''
        const event = await this.#event({ subject, header, text: () => message.string() })
        if (!event || (matches && !matches(event))) continue
        const position = { partition: consumer.partition, offset: seq }
        cursor = advance(cursor, position)
        yield { cursor, position, event }
      }
    } finally {
      stop()
      this.#followings.delete(following)
      signal.removeEventListener('abort', stop)
    }
  }

  /** Resumes after a reconnect. `startsOver`: the partitions whose sequences begin again. */
  reconnected(startsOver: ReadonlySet<number>): void {
    for (const following of this.#followings) following.reconnected(startsOver)
  }

  close(): void {
    for (const following of this.#followings) following.stop()
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
    const home = isTaskDerivedId(id) ? correlationOf(id) : correlation
    const { partition, stream, subject } = this.#homeOf(home)
    for await (const stored of stream.scan({ subject, ...since(home) }))
      if (decodeId(stored.header(msgId)) === id) return this.#stored(partition, stored)
    return undefined
  }

  /** Asks the server for recent ids, and the journal of the task that made the call; the log is not searched. */
  async isSettled(call: string): Promise<boolean> {
    const ids = [resultId(call), cancelId(call)]
    const { stream, lookup } = this.#homeOf(call.slice(0, 36))
    const recent = await Promise.all(ids.map(id => stream.find(lookup, encodeId(id))))
    if (recent.some(seq => seq !== undefined)) return true
    const made = parseId(call)
    if (!made) return false
    const newest = await stream.last(this.#log.names.turn(made.task))
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
  async *#correlation(correlation: string, { after, from, until }: Range): AsyncGenerator<LogEntry> {
    if (!isCorrelation(correlation)) return
    const { partition, stream, subject } = this.#homeOf(correlation)
    const offset = from[partition]!
    const start = offset > 0 ? { from: offset + 1 } : since(correlation)
    for await (const stored of stream.scan({ subject, ...start, ...(until && { until: until[partition]! }) })) {
      const found = await this.#stored(partition, stored)
      if (found?.event.correlationid === correlation) yield { ...found, cursor: advance(after, found.position) }
    }
  }

  /** The turns of a task and what they emitted, answers included, in order. */
  async *#task(task: string): AsyncGenerator<LogEntry> {
    const { partition, stream, subject } = this.#homeOf(correlationOf(task))
    const first = await stream.next(this.#log.names.turn(task), 1)
    if (!first) return
    for await (const stored of stream.scan({ subject, from: first.seq })) {
      const found = await this.#stored(partition, stored)
      if (found?.event.id.startsWith(`${task}:`)) yield { ...found, cursor: advance(beginning, found.position) }
    }
  }

  /** One partition after the other. */
  async *#scan({ after, from, until }: Range, filter?: Filter): AsyncGenerator<LogEntry> {
    const matches = filter && compileFilter(filter)
    const subject = this.#subjectFor(filter)
    let cursor = after
    for (const [partition, stream] of this.#log.partitions.entries()) {
      const end = until && { until: until[partition]! }
      for await (const stored of stream.scan({ from: from[partition]! + 1, ...end, ...(subject && { subject }) })) {
        const found = await this.#stored(partition, stored)
        if (!found || (matches && !matches(found.event))) continue
        cursor = advance(cursor, found.position)
        yield { ...found, cursor }
      }
    }
  }

  /** One subject that covers everything that a filter may match, where turns are not among it. */
  #subjectFor(filter: Filter | undefined): string | undefined {
    if (!filter || compileFilter(filter.map(({ types }) => ({ types })))({ type: 'task.turn' })) return undefined
    const subjects = filter.flatMap(clause => this.#log.names.subjectsFor(clause, '*'))
    return subjects.length > 0 ? coverAll(subjects) : undefined
  }

  /** By the ids that the server knows. */
  async #recent(id: string, correlation: string): Promise<StoredEvent | undefined> {
    const { partition, stream, lookup } = this.#homeOf(correlation)
    const seq = await stream.find(lookup, encodeId(id))
    const stored = seq === undefined ? undefined : await stream.at(seq)
    return stored && this.#stored(partition, stored)
  }

  /** Where the events of a correlation are stored. `lookup`: a subject there under which nothing is ever stored. */
  #homeOf(correlation: string) {
    const { names } = this.#log
    const shard = names.shardOf(correlation)
    return {
      partition: names.partitionOf(shard),
      stream: this.#log.streamOfShard(shard),
      subject: names.shard(shard),
      lookup: names.event({ correlationid: correlation, type: 'lookup' }),
    }
  }

  async #turn(task: string, version: number): Promise<StoredEvent | undefined> {
    for await (const found of this.#journal(task, version))
      return found.version === version ? { position: found.position, event: found.lines.turn } : undefined
    return undefined
  }

  /** What a turn emitted, or a later one took in. The position is that of the turn where the event's own is not known. */
  async #inJournal(id: string, task: string, version: number): Promise<StoredEvent | undefined> {
    for await (const { position, lines } of this.#journal(task, version)) {
      const event =
        lines.events.find(each => each.event.id === id)?.event ?? inputsOf(lines).find(each => each.id === id)
      if (event) return { position, event }
    }
    return undefined
  }

  async *#journal(task: string, version: number): AsyncGenerator<FoundTurn> {
    const known = this.#turnSeqs.get(task)
    const from = known && known.version <= version ? known.seq : 1
    const { partition, stream } = this.#homeOf(correlationOf(task))
    for await (const stored of stream.scan({ subject: this.#log.names.turn(task), from, page: 4 })) {
      const at = Number(stored.header(turnHeaders.version))
      if (at <= version) this.#remember(task, at, stored.seq)
      if (at < version) continue
      yield { position: { partition, offset: stored.seq }, version: at, lines: await this.#turns.read(stored) }
    }
  }

  #remember(task: string, version: number, seq: number): void {
    this.#turnSeqs.delete(task)
    this.#turnSeqs.set(task, { version, seq })
    if (this.#turnSeqs.size > maxTurnSeqs) this.#turnSeqs.delete(this.#turnSeqs.keys().next().value!)
  }

  #offsets(cursor: Cursor): number[] {
    return offsetsOf(cursor, this.#log.partitions.length)
  }

  async #stored(partition: number, stored: StoredMessage): Promise<StoredEvent | undefined> {
    const event = await this.#event(stored)
    return event && { position: { partition, offset: stored.seq }, event }
  }

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

const inputsOf = ({ turn }: TurnLines) => (turn.data as { inputs?: readonly CloudEvent[] } | null)?.inputs ?? []

/** What carries a UUIDv7 was not stored before that was minted, but for clocks that differ. */
function since(id: string): { since?: Date } {
  const minted = isCorrelation(id) ? mintedAt(id) : undefined
  return minted === undefined ? {} : { since: new Date(minted - clockSkewMs) }
}
