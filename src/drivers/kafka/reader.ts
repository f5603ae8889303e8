import { advance, beginning, formatCursor, offsetsOf } from '../../bus/cursor.ts'
import type { Cursor, LogEntry, LogQuery, Position, StoredEvent } from '../../bus/driver.ts'
import { eventFrom } from '../../bus/malformed.ts'
import { compileFilter, type Filter } from '../../pattern.ts'
import { followByReading } from '../shared/follow.ts'
import type { KafkaLog } from './kafka-log.ts'

const pageSize = 256

/** Reads the log from the index, after it has caught up with the broker. */
export class KafkaReader {
  readonly #log: KafkaLog
  readonly #wakers = new Set<() => void>()

  constructor(log: KafkaLog) {
    this.#log = log
  }

  async get(id: string, correlation: string): Promise<StoredEvent | undefined> {
    const partition = this.#log.names.partitionOf(correlation)
    await this.#log.follower.freshen([partition])
    const row = this.#log.index.byId(partition, id)
    return row && this.#stored(row)
  }

  async readAt(positions: readonly Position[]): Promise<(StoredEvent | undefined)[]> {
    if (positions.length === 0) return []
    await this.#log.follower.freshen([...new Set(positions.map(({ partition }) => partition))])
    return positions.map(position => this.#stored(position))
  }

  async *read(query: LogQuery): AsyncGenerator<LogEntry> {
    const { names, follower } = this.#log
    const ranges = 'task' in query ? undefined : this.#rangesOf(query)
    await follower.freshen('correlation' in query ? [names.partitionOf(query.correlation)] : undefined)
    if ('task' in query) return yield* this.#entries(beginning, this.#positionsOf(query.task))
    if ('correlation' in query)
      return yield* this.#entries(query.after ?? beginning, this.#related(query.correlation, ranges!))
    yield* this.#scan(query.after ?? beginning, ranges!, query.filter)
  }

  async head(): Promise<Cursor> {
    await this.#log.follower.freshen()
    return this.#head()
  }

  async horizon(): Promise<Cursor> {
    await this.#log.follower.freshen()
    const { index, names } = this.#log
    return formatCursor(Array.from({ length: names.partitions }, (_, partition) => index.deleted(partition)))
  }

  follow(after: Cursor, filter: Filter | undefined, signal: AbortSignal): AsyncGenerator<LogEntry> {
    const log = {
      head: async () => this.#head(),
      read: (query: LogQuery & { filter?: Filter; after?: Cursor }) =>
        this.#scan(query.after ?? beginning, this.#rangesOf(query), query.filter),
      onAppend: (callback: () => void) => {
        this.#wakers.add(callback)
        const stop = this.#log.follower.onChange(({ events }) => {
          if (events.length > 0) callback()
        })
        return () => {
          this.#wakers.delete(callback)
          stop()
        }
      },
    }
    return followByReading(log, after, filter, signal)
  }

  /** Lets followers look whether the driver is closed. */
  wake(): void {
    for (const waker of this.#wakers) waker()
  }

  /** The newest event of each partition; where all were deleted, the last of them. */
  #head(): Cursor {
    const { index, names } = this.#log
    return formatCursor(Array.from({ length: names.partitions }, (_, partition) => index.newest(partition)))
  }

  #rangesOf({ after = beginning, until }: { readonly after?: Cursor; readonly until?: Cursor }): [number, number][] {
    const { partitions } = this.#log.names
    const ends = until === undefined ? undefined : offsetsOf(until, partitions)
    return offsetsOf(after, partitions).map((start, partition) => [start, ends?.[partition] ?? Infinity])
  }

  async *#scan(after: Cursor, ranges: readonly [number, number][], filter?: Filter): AsyncGenerator<LogEntry> {
    const { index } = this.#log
    const matches = filter && compileFilter(filter)
    // What comes later is not read, so that the reading ends.
    const ends = ranges.map(([, until], partition) => Math.min(until, index.covered('events', partition)))
    let cursor = after
    for (const [partition, [start]] of ranges.entries())
      for (let from = start; ; ) {
        const rows = index.range(partition, from, ends[partition]!, pageSize)
        for (const row of rows) {
          const found = !matches || matches(row) ? this.#stored(row) : undefined
          if (!found) continue
          cursor = advance(cursor, found.position)
          yield { cursor, ...found }
        }
        if (rows.length < pageSize) break
        from = rows.at(-1)!.offset
        await yieldToEventLoop()
      }
  }

  async *#entries(after: Cursor, positions: readonly Position[]): AsyncGenerator<LogEntry> {
    let cursor = after
    for (const [n, position] of positions.entries()) {
      if (n % pageSize === pageSize - 1) await yieldToEventLoop()
      const found = this.#stored(position)
      if (!found) continue
      cursor = advance(cursor, position)
      yield { cursor, ...found }
    }
  }

  #related(correlation: string, ranges: readonly [number, number][]): Position[] {
    const partition = this.#log.names.partitionOf(correlation)
    const [start, until] = ranges[partition]!
    return this.#log.index
      .ofCorrelation(partition, correlation)
      .filter(offset => offset > start && offset <= until)
      .map(offset => ({ partition, offset }))
  }

  /** Its turns and what they emitted: their ids begin with that of the task. */
  #positionsOf(task: string): Position[] {
    return this.#log.index
      .idsBetween(`${task}:`, `${task};`)
      .map(({ partition, offset }) => ({ partition, offset }))
      .toSorted((a, b) => a.offset - b.offset)
  }

  #stored({ partition, offset }: Position): StoredEvent | undefined {
    const text = this.#log.index.text(partition, offset)
    const event = text === undefined ? undefined : eventFrom(text)
    return event && { position: { partition, offset }, event }
  }
}

const yieldToEventLoop = () => new Promise<void>(resolve => setImmediate(resolve))
