import {
  advance,
  beginning,
  compileFilter,
  correlationOf,
  formatCursor,
  offsetsOf,
  partitionOf,
  retentionHorizon,
  shardOf,
  turnId,
  unionOf,
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

/** An event on the log, with what queries ask for. */
export interface MemoryRow {
  readonly position: Position
  readonly json: string
  readonly event: Omit<CloudEvent, 'data'>
  /** Ms since the epoch at which it was stored. */
  readonly at: number
}

export interface MemoryTask {
  readonly id: string
  readonly group: string
  /** Of each version: its turn and the events that the turn emitted, as far as they are on the log. */
  turns: MemoryRow[][]
  ended: boolean
  snapshot?: { readonly version: number; readonly state: string }
  /** Position of the oldest turn that the task needs. */
  origin: Position
  wake: number | null
  cancelWake: () => void
}

/** Between two wake-ups of a task that does not answer. */
const minWakeDelayMs = 500
const maxWakeDelayMs = 30_000

/** How a log in memory is divided, and its clock. */
export interface MemoryLogOptions {
  readonly shards?: number
  readonly partitions?: number
  /** The clock that wakes tasks and ends delays. Default: that of the machine. */
  readonly clock?: Clock
}

const stored = ({ position, json }: MemoryRow): StoredEvent => ({ position, event: JSON.parse(json) as CloudEvent })

/**
 * The state that all members of one log share. Everything that a `MemoryDriver` does ends here, synchronously.
 * @example const log = new MemoryLog({ partitions: 3 })
 */
export class MemoryLog {
  readonly shards: number
  readonly partitions: number
  readonly documents = new Map<string, { revision: number; value: string; until: number }>()
  readonly blobs = new Map<string, Uint8Array>()
  readonly byId = new Map<string, MemoryRow>()
  readonly groups = new Map<string, MemoryGroup>()
  readonly signalListeners = new Set<(event: CloudEvent) => void>()
  readonly appendListeners = new Set<() => void>()
  readonly clock: Clock
  /** Increases with whatever happens on the log. */
  activity = 0
  /** Of each partition: its rows, and the offset of the newest event that it ever had. */
  readonly rows: MemoryRow[][]
  readonly heads: number[]
  horizon: Cursor = beginning
  readonly tasks = new Map<string, MemoryTask>()
  readonly #tasksByCorrelation = new Map<string, Set<MemoryTask>>()
  readonly claims = new Set<string>()

  constructor({ shards = 8, partitions = 1, clock = new SystemClock() }: MemoryLogOptions = {}) {
    this.shards = shards
    this.partitions = partitions
    this.clock = clock
    this.rows = Array.from({ length: partitions }, () => [])
    this.heads = this.rows.map(() => 0)
  }

  get head(): Cursor {
    return formatCursor(this.heads)
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
    if (this.claims.has(id)) return false
    this.publish([entry])
    this.claims.add(id)
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

  at({ partition, offset }: Position): StoredEvent | undefined {
    const row = this.rows[partition]?.findLast(({ position }) => position.offset === offset)
    return row && stored(row)
  }

  /** As the log is now, one partition after the other. */
  *read(query: LogQuery): Generator<LogEntry> {
    let cursor = ('after' in query && query.after) || beginning
    for (const row of this.#find(query)) {
      cursor = advance(cursor, row.position)
      yield { cursor, ...stored(row) }
    }
  }

  commit({ group, task: id, expect, turn, events, settle, wake, snapshot, end = false }: Commit): CommitResult {
    const known = this.tasks.get(id)
    if ((known?.turns.length ?? 0) !== expect || known?.ended) return 'conflict'
    const own = this.groups.get(group)
    if (settle.some(({ delivery }) => !own?.holds(delivery))) return 'conflict'
    const entries = [turn, ...events]
    const { position } = this.publish(entries)[0]!
    const task = known ?? this.beginTask(group, id, position)
    task.turns.push(entries.map(({ event }) => this.byId.get(event.id)!))
    if (snapshot !== undefined)
      Object.assign(task, { snapshot: { version: expect + 1, state: snapshot }, origin: position })
    task.ended = end
    for (const { delivery, outcome } of settle) own!.settle(delivery, outcome)
    this.setWake(task, end ? null : wake)
    return 'accepted'
  }

  journal(id: string): TaskJournal {
    const { snapshot, turns = [] } = this.tasks.get(id) ?? {}
    const rows = turns.slice(snapshot?.version ?? 0).flat()
    return { ...(snapshot && { snapshot }), records: rows.map(row => stored(row).event) }
  }

  newestTurns(correlation: string): CloudEvent[] {
    const newest = [...(this.#tasksByCorrelation.get(correlation) ?? [])].flatMap(({ id, turns }) =>
      turns.at(-1)!.filter(({ event }) => event.id === turnId(id, turns.length)),
    )
    return newest.map(row => stored(row).event)
  }

  *missedWakes(before: number): Generator<MissedWake> {
    for (const { id, group, wake } of this.tasks.values())
      if (wake !== null && wake < before) yield { kind: 'overdue', group, task: id, due: wake }
  }

  group(subscribed: ConsumerGroup): MemoryGroup {
    const { group, from } = subscribed
    const known = this.groups.get(group)
    if (known) return known
    const created = new MemoryGroup(this, subscribed)
    this.groups.set(group, created)
    if (from === 'beginning') for (const row of this.rows.flat()) created.offer(row)
    return created
  }

  /** The shards of a group have other owners: their tasks are woken at once where that is due. */
  ownersChanged(group: string): void {
    for (const task of this.tasks.values()) if (task.group === group) this.setWake(task, task.wake)
  }

  purge({ maxAgeMs, maxLag }: Retention): PurgeResult {
    const cutoff = this.clock.now() - maxAgeMs
    const horizons = this.rows.map((rows, partition) => {
      const tasks = [...this.tasks]
        .filter(([, { ended, origin }]) => !ended && origin.partition === partition)
        .map(([id, { origin }]) => ({ offset: origin.offset, heldBy: `task ${id}` }))
      const groups = Array.from(this.groups.values(), group => group.holdOn(partition))
      const head = this.heads[partition]!
      const young = rows.find(({ event }) => Date.parse(event.time) >= cutoff)?.position.offset ?? head + 1
      return retentionHorizon({ head, young, maxLag, tasks, groups })
    })
    this.horizon = unionOf(this.horizon, formatCursor(horizons.map(({ horizon }) => horizon - 1)))
    const purged = this.rows.flatMap((rows, n) => rows.splice(0, indexAfter(rows, horizons[n]!.horizon - 1)))
    for (const { event } of purged) this.byId.delete(event.id)
    const isLeft = ({ position }: MemoryRow) => position.offset >= horizons[position.partition]!.horizon
    for (const task of this.tasks.values()) task.turns = task.turns.map(rows => rows.filter(isLeft))
    return { events: purged.length, heldBy: [...new Set(horizons.map(({ heldBy }) => heldBy))].join('; ') }
  }

  #append(event: CloudEvent, json: string): AppendResult {
    const first = this.byId.get(event.id)
    if (first) return { position: first.position, duplicate: true }
    const { data: _, ...envelope } = event
    const partition = partitionOf(shardOf(event.correlationid, this.shards), this.partitions)
    const position = { partition, offset: ++this.heads[partition]! }
    const row = { position, json, event: envelope, at: this.clock.now() }
    this.rows[partition]!.push(row)
    this.byId.set(event.id, row)
    for (const group of this.groups.values()) group.offer(row)
    for (const listener of this.appendListeners) listener()
    return { position, duplicate: false }
  }

  #find(query: LogQuery): MemoryRow[] {
    if ('task' in query) return (this.tasks.get(query.task)?.turns ?? []).flat().toSorted(byOffset)
    const { after = beginning, until = this.head } = query
    const [starts, ends] = [offsetsOf(after, this.partitions), offsetsOf(until, this.partitions)]
    const rows = this.rows.flatMap((rows, n) => rows.slice(indexAfter(rows, starts[n]!), indexAfter(rows, ends[n]!)))
    if ('correlation' in query) return rows.filter(({ event }) => event.correlationid === query.correlation)
    const matches = query.filter && compileFilter(query.filter)
    return matches ? rows.filter(({ event }) => matches(event)) : rows
  }

  beginTask(group: string, id: string, origin: Position): MemoryTask {
    const task: MemoryTask = { id, group, turns: [], ended: false, origin, wake: null, cancelWake() {} }
    this.tasks.set(id, task)
    const correlation = correlationOf(id)
    this.#tasksByCorrelation.set(correlation, (this.#tasksByCorrelation.get(correlation) ?? new Set()).add(task))
    return task
  }

  setWake(task: MemoryTask, wake: number | null): void {
    task.cancelWake()
    task.wake = wake
    if (wake !== null) this.#wakeAt(task, wake, minWakeDelayMs)
  }

  /** A task is due by the wall clock. The delay before it is woken another time is measured by the monotonic clock. */
  #wakeAt(task: MemoryTask, wake: number, delayMs: number): void {
    task.cancelWake = this.clock.at(wake, () => {
      const { id, group } = task
      const owner = this.groups.get(group)?.ownerOf(shardOf(correlationOf(id), this.shards))
      // The next owner wakes it: `ownersChanged`.
      if (!owner) return
      const again = () => this.#wakeAt(task, wake, Math.min(delayMs * 2, maxWakeDelayMs))
      task.cancelWake = this.clock.after(delayMs, again)
      owner.onWake?.(id, wake)
    })
  }
}

const byOffset = (a: MemoryRow, b: MemoryRow) => a.position.offset - b.position.offset

const indexAfter = (rows: readonly MemoryRow[], offset: number): number =>
  rows.findLastIndex(({ position }) => position.offset <= offset) + 1
