import {
  advance,
  beginning,
  cancelId,
  compileFilter,
  correlationOf,
  formatCursor,
  offsetsOf,
  partitionOf,
  resultId,
  retentionHorizon,
  shardOf,
  type CloudEvent,
  type Commit,
  type CommitResult,
  type ConsumerGroup,
  type Cursor,
  type EncodedEvent,
  type LogEntry,
  type LogQuery,
  type MissedWake,
  type Position,
  type AppendResult,
  type PurgeResult,
  type Retention,
  type StoredEvent,
  type TaskJournal,
} from '../../driver.ts'
import { SystemClock, type Clock } from './clock.ts'
import { MemoryGroup } from './group.ts'

/** An event on the log, with what queries ask for. `order` counts the events of all partitions. */
export interface Row {
  readonly position: Position
  readonly order: number
  readonly json: string
  readonly event: Omit<CloudEvent, 'data'>
  /** Ms since the epoch at which it was stored. */
  readonly at: number
}

interface Task {
  readonly id: string
  readonly group: string
  version: number
  ended: boolean
  snapshot?: { readonly version: number; readonly state: string }
  /** Position of the oldest turn that the task needs. */
  origin: Position
  records: { readonly version: number; readonly row: Row; readonly isTurn: boolean }[]
  wake: number | null
  /** Cancels the timer of its next wake-up. */
  cancelWake: () => void
  /** How long after this wake-up comes the next, if it changes nothing. */
  wakeDelayMs: number
}

const minWakeDelayMs = 500
const maxWakeDelayMs = 30_000

/** How a log in memory is divided, and its clock. */
export interface MemoryLogOptions {
  readonly shards?: number
  readonly partitions?: number
  /** The clock that wakes tasks and ends delays. Default: that of the machine. */
  readonly clock?: Clock
}

const stored = ({ position, json }: Row): StoredEvent => ({ position, event: JSON.parse(json) as CloudEvent })

/**
 * The state that all members of one log share. Everything that a `MemoryDriver` does ends here, synchronously.
 * @example const log = new MemoryLog({ partitions: 3 })
 */
export class MemoryLog {
  readonly shards: number
  readonly partitions: number
  readonly documents = new Map<string, { revision: number; value: string; until: number }>()
  readonly blobs = new Map<string, Uint8Array>()
  readonly byId = new Map<string, Row>()
  readonly groups = new Map<string, MemoryGroup>()
  readonly signalListeners = new Set<(event: CloudEvent) => void>()
  readonly appendListeners = new Set<() => void>()
  readonly clock: Clock
  /** Increases with whatever happens on the log. */
  activity = 0
  /** Of each partition: its rows, and the offset of the newest event that it ever had. */
  readonly #rows: Row[][]
  readonly #heads: number[]
  #appended = 0
  readonly #tasks = new Map<string, Task>()
  readonly #tasksOf = new Map<string, Set<string>>()
  readonly #claims = new Set<string>()
  readonly #waiting = new Set<Task>()

  constructor({ shards = 8, partitions = 1, clock = new SystemClock() }: MemoryLogOptions = {}) {
    this.shards = shards
    this.partitions = partitions
    this.clock = clock
    this.#rows = Array.from({ length: partitions }, () => [])
    this.#heads = this.#rows.map(() => 0)
  }

  /** Whether deliveries are in flight, or are handed out soon. */
  get isBusy(): boolean {
    return [...this.groups.values()].some(group => group.isBusy)
  }

  get head(): Cursor {
    return formatCursor(this.#heads)
  }

  get sortedGroups(): MemoryGroup[] {
    return [...this.groups.values()].toSorted((a, b) => (a.group < b.group ? -1 : 1))
  }

  publish(entries: readonly EncodedEvent[]): AppendResult[] {
    // What cannot be encoded throws here, before anything is stored.
    const texts = entries.map(({ json }) => json)
    return entries.map(({ event }, i) => this.#append(event, texts[i]!))
  }

  claim(entry: EncodedEvent): boolean {
    const { id } = entry.event
    if (this.#claims.has(id)) return false
    this.publish([entry])
    this.#claims.add(id)
    return true
  }

  document(key: string): { revision: number; value: string } | undefined {
    const found = this.documents.get(key)
    return found && found.until > this.clock.now() ? found : undefined
  }

  get(id: string): StoredEvent | undefined {
    const row = this.byId.get(id)
    return row && stored(row)
  }

  isCallSettled(call: string): boolean {
    return this.byId.has(resultId(call)) || this.byId.has(cancelId(call))
  }

  at({ partition, offset }: Position): StoredEvent | undefined {
    const rows = this.#rows[partition] ?? []
    const row = rows[indexAfter(rows, offset - 1)]
    return row?.position.offset === offset ? stored(row) : undefined
  }

  /** The rows of a query as the log is now, one partition after the other. */
  *read(query: LogQuery): Generator<LogEntry> {
    if ('task' in query) {
      const rows = this.#tasks.get(query.task)?.records.map(({ row }) => row) ?? []
      return yield* entries(beginning, rows.toSorted(byOrder))
    }
    const { after = beginning, until = this.head } = query
    const [starts, ends] = [offsetsOf(after, this.partitions), offsetsOf(until, this.partitions)]
    const rows = this.#rows.flatMap((rows, n) => rows.slice(indexAfter(rows, starts[n]!), indexAfter(rows, ends[n]!)))
    if ('correlation' in query)
      return yield* entries(after, rows.filter(({ event }) => event.correlationid === query.correlation)) // biome-ignore format: one line
    const matches = query.filter && compileFilter(query.filter)
    yield* entries(after, (matches ? rows.filter(({ event }) => matches(event)) : rows).slice(0, query.limit))
  }

  commit({ group, task: id, expect, turn, events, settle, wake, snapshot, end = false }: Commit): CommitResult {
    const known = this.#tasks.get(id)
    if ((known?.version ?? 0) !== expect || known?.ended) return 'conflict'
    const own = this.groups.get(group)
    if (settle.some(({ delivery }) => !own?.holds(delivery))) return 'conflict'
    const entries = [turn, ...events]
    const [{ position }] = this.publish(entries) as [AppendResult]
    const task = known ?? this.#begin(group, id, position)
    task.version = expect + 1
    entries.forEach(({ event }, i) => {
      const row = this.byId.get(event.id)
      if (row) task.records.push({ version: task.version, row, isTurn: i === 0 })
    })
    if (snapshot !== undefined) task.snapshot = { version: task.version, state: snapshot }
    if (snapshot !== undefined) task.origin = position
    task.ended = end
    for (const { delivery, outcome } of settle) own!.settle(delivery, outcome)
    this.#setWake(task, end ? null : wake)
    return 'accepted'
  }

  journal(id: string): TaskJournal {
    const task = this.#tasks.get(id)
    if (!task) return { records: [] }
    const { snapshot } = task
    const later = task.records.filter(({ version }) => version > (snapshot?.version ?? 0))
    return { ...(snapshot && { snapshot }), records: later.map(({ row }) => stored(row).event) }
  }

  newestTurns(correlation: string): CloudEvent[] {
    return [...(this.#tasksOf.get(correlation) ?? [])].flatMap(id => {
      const newest = this.#tasks.get(id)!.records.findLast(({ isTurn }) => isTurn)
      return newest ? [stored(newest.row).event] : []
    })
  }

  *missedWakes(before: number): Generator<MissedWake> {
    for (const { id, group, wake } of this.#waiting)
      if (wake! < before) yield { kind: 'overdue', group, task: id, due: wake! }
  }

  group({ group, mode, filter, from }: ConsumerGroup): MemoryGroup {
    const known = this.groups.get(group)
    if (known) return known
    const created = new MemoryGroup({ log: this, group, mode, filter })
    this.groups.set(group, created)
    if (from === 'beginning') for (const row of this.#rows.flat().toSorted(byOrder)) created.offer(row)
    return created
  }

  /** The shards of a group have other owners: their tasks are woken at once where that is due. */
  ownersChanged(group: string): void {
    for (const task of this.#waiting) if (task.group === group) this.#setWake(task, task.wake)
  }

  purge({ maxAgeMs, maxLag }: Retention): PurgeResult {
    const cutoff = this.clock.now() - maxAgeMs
    const horizons = this.#rows.map((rows, partition) => {
      const tasks = [...this.#tasks]
        .filter(([, { ended, origin }]) => !ended && origin.partition === partition)
        .map(([id, { origin }]) => ({ offset: origin.offset, heldBy: `task ${id}` }))
      const groups = Array.from(this.groups.values(), each => ({ offset: each.firstUnsettled(partition), heldBy: `group ${each.group}` })) // biome-ignore format: one line
      const head = this.#heads[partition]!
      const young = rows.find(({ event }) => Date.parse(event.time) >= cutoff)?.position.offset ?? head + 1
      return retentionHorizon({ head, young, maxLag, tasks, groups })
    })
    const purged = this.#rows.flatMap((rows, n) => rows.splice(0, indexAfter(rows, horizons[n]!.horizon - 1)))
    for (const { event } of purged) this.byId.delete(event.id)
    for (const task of this.#tasks.values())
      task.records = task.records.filter(({ row }) => this.byId.get(row.event.id) === row)
    return {
      events: purged.length,
      horizon: formatCursor(horizons.map(({ horizon }) => horizon - 1)),
      heldBy: [...new Set(horizons.map(({ heldBy }) => heldBy))].join('; '),
    }
  }

  #append(event: CloudEvent, json: string): AppendResult {
    const first = this.byId.get(event.id)
    if (first) return { position: first.position, duplicate: true }
    const { data: _, ...envelope } = event
    const partition = partitionOf(shardOf(event.correlationid, this.shards), this.partitions)
    const position = { partition, offset: ++this.#heads[partition]! }
    const row = { position, order: ++this.#appended, json, event: envelope, at: this.clock.now() }
    this.#rows[partition]!.push(row)
    this.byId.set(event.id, row)
    for (const group of this.groups.values()) group.offer(row)
    for (const listener of this.appendListeners) listener()
    return { position: row.position, duplicate: false }
  }

  #begin(group: string, id: string, origin: Position): Task {
    const task: Task = {
      id, group, version: 0, ended: false, origin, records: [], wake: null, cancelWake() {}, wakeDelayMs: minWakeDelayMs,
    } // biome-ignore format: one object
    this.#tasks.set(id, task)
    const correlation = correlationOf(id)
    this.#tasksOf.set(correlation, (this.#tasksOf.get(correlation) ?? new Set()).add(id))
    return task
  }

  #setWake(task: Task, wake: number | null): void {
    task.cancelWake()
    Object.assign(task, { wake, wakeDelayMs: minWakeDelayMs })
    if (wake === null) this.#waiting.delete(task)
    else {
      this.#waiting.add(task)
      task.cancelWake = this.clock.at(wake, () => this.#wake(task))
    }
  }

  /** A task is due by the wall clock. The delay before it is woken another time is measured by the monotonic clock. */
  #wake(task: Task): void {
    const { id, group, wake, wakeDelayMs } = task
    const owner = this.groups.get(group)?.ownerOf(shardOf(correlationOf(id), this.shards))
    // The next owner wakes it: `ownersChanged`.
    if (!owner) return
    task.cancelWake = this.clock.after(wakeDelayMs, () => {
      task.cancelWake = this.clock.at(wake!, () => this.#wake(task))
    })
    task.wakeDelayMs = Math.min(wakeDelayMs * 2, maxWakeDelayMs)
    owner.subscription.onWake?.(id, wake!)
  }
}

const byOrder = (a: Row, b: Row) => a.order - b.order

function* entries(after: Cursor, rows: readonly Row[]): Generator<LogEntry> {
  let cursor = after
  for (const row of rows) yield { cursor: (cursor = advance(cursor, row.position)), ...stored(row) }
}

/** Index of the first row after an offset. */
const indexAfter = (rows: readonly Row[], offset: number): number =>
  rows.findLastIndex(({ position }) => position.offset <= offset) + 1
