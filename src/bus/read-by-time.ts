import type { Bus } from './bus.ts'
import { advance, beginning, offsetsOf, unionOf, withOffset } from './cursor.ts'
import type { Cursor, LogEntry } from './driver.ts'
import type { Filter } from '../pattern.ts'

/*
 * A log with several partitions has an order within each of them only, and a driver may read one after the other. Where the order across
 * correlations matters to a person or to code, the partitions are read side by side and merged by the times of their events.
 */

interface Period {
  readonly after?: Cursor
  readonly until: Cursor
  readonly filter?: Filter | undefined
}

/** The events between two cursors: those of each partition in its order, merged by time. */
export function readByTime(bus: Bus, { after = beginning, until, filter }: Period): AsyncIterable<LogEntry> {
  if (bus.partitions === 1) return bus.read({ after, until, ...(filter && { filter }) })
  // Both ends of a reading cover all other partitions, so that nothing of them is read.
  const readings = offsetsOf(after, bus.partitions).map((offset, partition) =>
    bus.read({ after: withOffset(until, partition, offset), until, ...(filter && { filter }) }),
  )
  return mergeByTime(readings, after)
}

/** Like `Bus.follow`, but what is on the log already comes in the order of {@link readByTime}. */
export async function* followByTime(
  bus: Bus,
  after: Cursor,
  filter: Filter | undefined,
  signal: AbortSignal,
): AsyncGenerator<LogEntry> {
  let start = after
  if (bus.partitions > 1) {
    const until = unionOf(after, await bus.head())
    for await (const entry of readByTime(bus, { after, until, filter })) {
      if (signal.aborted) return
      yield entry
    }
    start = until
  }
  yield* bus.follow(start, filter, signal)
}

/**
 * Merges readings by time, and those of one partition by their positions, so that a cursor covers exactly what was yielded before.
 * `after`: what the cursors cover already.
 */
export async function* mergeByTime(
  readings: Iterable<AsyncIterable<LogEntry>>,
  after: Cursor,
): AsyncGenerator<LogEntry> {
  const sources: Source[] = []
  let cursor = after
  try {
    for (const reading of readings) {
      const rest = reading[Symbol.asyncIterator]()
      const { done, value } = await rest.next()
      if (!done) sources.push({ next: value, rest })
    }
    while (sources.length > 0) {
      const source = nextOf(sources)
      cursor = advance(cursor, source.next.position)
      yield { ...source.next, cursor }
      const { done, value } = await source.rest.next()
      if (done) sources.splice(sources.indexOf(source), 1)
      else source.next = value
    }
  } finally {
    for (const { rest } of sources) await rest.return?.()
  }
}

/** A part of the log, read one event ahead. */
interface Source {
  next: LogEntry
  readonly rest: AsyncIterator<LogEntry>
}

/** The oldest of the partition that has the oldest event, so that each partition is read in its order. */
function nextOf(sources: readonly Source[]): Source {
  const oldest = sources.reduce((first, each) => (each.next.event.time < first.next.event.time ? each : first))
  const { partition } = oldest.next.position
  return sources
    .filter(each => each.next.position.partition === partition)
    .reduce((first, each) => (each.next.position.offset < first.next.position.offset ? each : first))
}
