import {
  cancelId,
  compileFilter,
  correlationOf,
  resultId,
  retentionHorizon,
  shardOf,
  type CloudEvent,
  type Commit,
  type CommitResult,
  type ConsumerGroup,
  type EncodedEvent,
  type LogHolder,
  type LogQuery,
  type MissedWake,
  type Now,
  type Position,
  type AppendResult,
  type PurgeResult,
  type Retention,
  type StoredEvent,
  type TaskJournal,
} from '../../src/driver.ts'
import { MemoryGroup } from './memory-group.ts'

/** An event on the log, with what queries ask for. */
export interface Row {
  readonly position: Position
  readonly json: string
  readonly event: Omit<CloudEvent, 'data'>
  /** Ms since the epoch at which it was stored. */
  readonly at: number
}

interface Task {
  readonly group: string
  version: number
  ended: boolean
  snapshot?: { readonly version: number; readonly state: string }
  /** Position of the oldest turn that the task needs. */
  origin: Position
  records: { readonly version: number; readonly row: Row; readonly isTurn: boolean }[]
  wake: number | null
  /** When to wake it next, by the monotonic clock, and the delay after that. */
  wakeAt: number
  wakeDelayMs: number
}

const minWakeDelayMs = 500
const maxWakeDelayMs = 30_000
/** How often due tasks are looked for, in ms. */
const wakeIntervalMs = 20

export const stored = ({ position, json }: Row): StoredEvent => ({ position, event: JSON.parse(json) as CloudEvent })

/** The state that all members of one log share. Everything that a `MemoryDriver` does ends here, synchronously. */
export class MemoryLog {
  readonly shards: number
  readonly documents = new Map<string, { revision: number; value: string }>()
  readonly blobs = new Map<string, Uint8Array>()
  readonly groups = new Map<string, MemoryGroup>()
  readonly signalListeners = new Set<(event: CloudEvent) => void>()
  readonly appendListeners = new Set<() => void>()
  now: Now = Date.now
  head: Position = 0
  #rows: Row[] = []
  readonly #byId = new Map<string, Row>()
  readonly #tasks = new Map<string, Task>()
  readonly #tasksOf = new Map<string, Set<string>>()
  readonly #claims = new Set<string>()
  readonly #waiting = new Set<Task & { readonly id: string }>()
  #timer: NodeJS.Timeout | undefined
  #notified = false

  constructor({ shards = 8 }: { readonly shards?: number } = {}) {
    this.shards = shards
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

  get(id: string): StoredEvent | undefined {
    const row = this.#byId.get(id)
    return row && stored(row)
  }

  isCallSettled(call: string): boolean {
    return this.#byId.has(resultId(call)) || this.#byId.has(cancelId(call))
  }

  at(position: Position): StoredEvent | undefined {
    const row = this.#rows[this.#indexAfter(position - 1)]
    return row?.position === position ? stored(row) : undefined
  }

  /** The rows of a query as the log is now. */
  *read(query: LogQuery): Generator<StoredEvent> {
    if ('task' in query) {
      const rows = this.#tasks.get(query.task)?.records.map(({ row }) => row) ?? []
      return yield* rows.toSorted((a, b) => a.position - b.position).map(stored)
    }
    const { after = 0, until = this.head } = query
    const limit = ('limit' in query && query.limit) || Infinity
    const filter = 'filter' in query ? query.filter : undefined
    const matches = filter && compileFilter(filter)
    const rows = this.#rows
    let count = 0
    for (let i = this.#indexAfter(after); i < rows.length && rows[i]!.position <= until && count < limit; i++) {
      const row = rows[i]!
      if ('correlation' in query ? row.event.correlationid !== query.correlation : matches && !matches(row.event))
        continue
      count++
      yield stored(row)
    }
  }

  commit({ group, task: id, expect, turn, events, settle, wake, snapshot, end = false }: Commit): CommitResult {
    const known = this.#tasks.get(id)
    if ((known?.version ?? 0) !== expect || known?.ended) return 'conflict'
    const own = this.groups.get(group)
    if (settle.some(({ delivery }) => !own?.holds(delivery))) return 'conflict'
    const entries = [turn, ...events]
    const [{ position }] = this.publish(entries) as [AppendResult]
    const task = known ?? this.#begin(group, id)
    task.version = expect + 1
    entries.forEach(({ event }, i) => {
      const row = this.#byId.get(event.id)
      if (row) task.records.push({ version: task.version, row, isTurn: i === 0 })
    })
    if (snapshot !== undefined) task.snapshot = { version: task.version, state: snapshot }
    if (snapshot !== undefined || expect === 0) task.origin = position
    task.ended = end
    for (const { delivery, outcome } of settle) own!.settle(delivery, outcome)
    this.#setWake(id, task, end ? null : wake)
    return 'accepted'
  }

  journal(id: string): TaskJournal {
    const task = this.#tasks.get(id)
    if (!task) return { records: [] }
    const { snapshot } = task
    const since = snapshot?.version ?? 0
    const records = task.records.filter(({ version }) => version > since).map(({ row }) => stored(row).event)
    return { ...(snapshot && { snapshot }), records }
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
    if (from === 'beginning') for (const row of this.#rows) created.offer(row)
    return created
  }

  /** The shards of a group have other owners: their tasks are woken at once where that is due. */
  ownersChanged(group: string): void {
    for (const task of this.#waiting)
      if (task.group === group) Object.assign(task, { wakeAt: 0, wakeDelayMs: minWakeDelayMs })
  }

  purge({ maxAgeMs: age, maxLag }: Retention): PurgeResult {
    const cutoff = Date.now() - age
    const tasks: LogHolder[] = []
    for (const [id, { ended, origin }] of this.#tasks)
      if (!ended) tasks.push({ position: origin, heldBy: `task ${id}` })
    const groups = [...this.groups.values()].map(each => ({ position: each.cursor, heldBy: `group ${each.group}` }))
    const young = this.#rows.find(({ event }) => Date.parse(event.time) >= cutoff)?.position ?? this.head + 1
    const result = retentionHorizon({ head: this.head, young, maxLag, tasks, groups })
    const kept = this.#indexAfter(result.horizon - 1)
    const purged = this.#rows.slice(0, kept)
    this.#rows = this.#rows.slice(kept)
    for (const { event } of purged) this.#byId.delete(event.id)
    for (const task of this.#tasks.values())
      task.records = task.records.filter(({ row }) => row.position >= result.horizon)
    return { events: purged.length, ...result }
  }

  #append(event: CloudEvent, json: string): AppendResult {
    const first = this.#byId.get(event.id)
    if (first) return { position: first.position, duplicate: true }
    const { data: _, ...envelope } = event
    const row = { position: ++this.head, json, event: envelope, at: Date.now() }
    this.#rows.push(row)
    this.#byId.set(event.id, row)
    for (const group of this.groups.values()) group.offer(row)
    this.#notify()
    return { position: row.position, duplicate: false }
  }

  #begin(group: string, id: string): Task {
    const task: Task = {
      group, version: 0, ended: false, origin: 0, records: [], wake: null, wakeAt: 0, wakeDelayMs: minWakeDelayMs,
    } // biome-ignore format: one object
    this.#tasks.set(id, task)
    const correlation = correlationOf(id)
    this.#tasksOf.set(correlation, (this.#tasksOf.get(correlation) ?? new Set()).add(id))
    return task
  }

  #setWake(id: string, task: Task, wake: number | null): void {
    const waiting = Object.assign(task, { id, wake, wakeAt: 0, wakeDelayMs: minWakeDelayMs })
    if (wake === null) this.#waiting.delete(waiting)
    else this.#waiting.add(waiting)
    this.#timer ??= setInterval(() => this.#wakeDue(), wakeIntervalMs).unref()
  }

  /** A task is due by the wall clock. The delay before it is woken another time is measured by the monotonic clock. */
  #wakeDue(): void {
    if (this.#waiting.size === 0) {
      clearInterval(this.#timer)
      this.#timer = undefined
    }
    const [now, monotonic] = [this.now(), performance.now()]
    for (const task of this.#waiting) {
      if (task.wake! > now || task.wakeAt > monotonic) continue
      const owner = this.groups.get(task.group)?.ownerOf(shardOf(correlationOf(task.id), this.shards))
      if (!owner) continue
      task.wakeAt = monotonic + task.wakeDelayMs
      task.wakeDelayMs = Math.min(task.wakeDelayMs * 2, maxWakeDelayMs)
      owner.subscription.onWake?.(task.id, task.wake!)
    }
  }

  #notify(): void {
    if (this.#notified) return
    this.#notified = true
    setImmediate(() => {
      this.#notified = false
      for (const listener of this.appendListeners) listener()
    })
  }

  /** Index of the first row after a position. */
  #indexAfter(position: Position): number {
    let [low, high] = [0, this.#rows.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#rows[middle]!.position <= position) low = middle + 1
      else high = middle
    }
    return low
  }
}
