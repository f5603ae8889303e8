import { DatabaseSync } from 'node:sqlite'
import { offsetsOf } from '../../bus/cursor.ts'
import type {
  Cursor,
  DeferredDelivery,
  GroupState,
  TaskJournal,
  MissedWake,
  LogEntry,
  LogQuery,
  Position,
  StoredEvent,
} from '../../bus/driver.ts'
import { parseId, turnId } from '../../bus/ids.ts'
import { eventFrom, malformedEvent, type DeliverySource } from '../../bus/malformed.ts'
import { readReason } from '../../bus/reason.ts'
import { sqlFor } from '../../bus/sql.ts'
import type { CloudEvent } from '../../event.ts'
import { compileFilter, type Filter } from '../../pattern.ts'
import { hostId, startTimeOf } from '../../bus/processes.ts'
import type { ShardProgress } from './protocol.ts'
import { consumersPerMember, newestPosition } from './schema.ts'

interface LogRow {
  pos: number
  event: string
}

/** A live task. `turn`: its newest turn as JSON. */
export interface LiveTaskRow {
  readonly group: string
  readonly task: string
  readonly wake: number | null
  readonly turn: string | null
}

const pageSize = 256
const countChunk = 20_000

function statementsFor(db: DatabaseSync) {
  const sql = sqlFor(db)
  return {
    byId: sql<LogRow>('SELECT pos, event FROM log WHERE id = ?'),
    byPosition: sql<LogRow>('SELECT pos, event FROM log WHERE pos = ?'),
    // In the order of the list; ten times as fast as one by one.
    byPositions: sql<LogRow>('SELECT pos, event FROM json_each(?) AS wanted CROSS JOIN log ON pos = wanted.value'),
    columns: sql<{ id: string; correlation: string }>('SELECT id, correlation FROM log WHERE pos = ?'),
    exists: sql('SELECT 1 FROM log WHERE id = ?'),
    range: sql<{ pos: number; type: string; target: string | null }>(
      'SELECT pos, type, target FROM log WHERE pos > ? AND pos <= ? ORDER BY pos LIMIT ?',
    ),
    head: sql<{ head: number }>(newestPosition),
    // A log that an older version purged has no horizon yet: nothing is left before its first position.
    horizon: sql<{ horizon: number }>(`SELECT ifnull((SELECT value FROM meta WHERE key = 'horizon'),
      ifnull((SELECT min(pos) - 1 FROM log), (SELECT value FROM meta WHERE key = 'head'))) AS horizon`),
    ids: sql<{ pos: number; id: string }>('SELECT pos, id FROM log WHERE id >= ? AND id < ?'),
    firstId: sql<{ id: string }>('SELECT id FROM log WHERE id >= ? AND id < ? ORDER BY id LIMIT 1'),
    lastId: sql<{ id: string }>('SELECT id FROM log WHERE id >= ? AND id < ? ORDER BY id DESC LIMIT 1'),
    snapshot: sql<{ version: number; state: string }>('SELECT version, state FROM snapshots WHERE task = ?'),
    // All columns: a log of an older schema that is only read has no `until`.
    document: sql<{ revision: number; value: string; until?: number | null }>('SELECT * FROM documents WHERE key = ?'),
  }
}

/** Reads the log on a connection of its own. In WAL mode readers and the writer do not wait for each other. */
export class LogReader {
  readonly #db: DatabaseSync
  readonly #prepare: ReturnType<typeof sqlFor>
  readonly #sql: ReturnType<typeof statementsFor>

  constructor(file: string | URL) {
    this.#db = new DatabaseSync(file, { readOnly: true, timeout: 10_000 })
    this.#prepare = sqlFor(this.#db)
    this.#sql = statementsFor(this.#db)
  }

  close(): void {
    this.#db.close()
  }

  get(id: string): StoredEvent | undefined {
    return stored(this.#sql.byId.get(id))
  }

  at(positions: readonly Position[]): (StoredEvent | undefined)[] {
    const offsets = positions.flatMap(({ partition, offset }) => (partition === 0 ? [offset] : []))
    const rows = new Map(this.#sql.byPositions.all(JSON.stringify(offsets)).map(row => [row.pos, row]))
    return positions.map(({ partition, offset }) => (partition === 0 ? stored(rows.get(offset)) : undefined))
  }

  /** Locates an event by its columns, because its text may be malformed. */
  locationOf(pos: number): DeliverySource {
    const { id, correlation } = this.#sql.columns.get(pos)!
    return { id, correlationid: correlation, at: { position: pos } }
  }

  has(id: string): boolean {
    return this.#sql.exists.get(id) !== undefined
  }

  head(): number {
    return this.#sql.head.get()!.head
  }

  horizon(): number {
    return this.#sql.horizon.get()!.horizon
  }

  read(query: LogQuery): AsyncIterable<LogEntry> {
    if ('task' in query) return this.#readAt(() => this.#idsOf(query.task).map(({ pos }) => pos))
    const after = query.after === undefined ? 0 : toPos(query.after)
    const until = query.until === undefined ? Number.MAX_SAFE_INTEGER : toPos(query.until)
    if ('correlation' in query) return this.#readAt(() => this.#positionsOf(query.correlation, after, until))
    return this.#scan(after, until, query.filter)
  }

  journal(task: string): TaskJournal {
    const snapshot = this.#sql.snapshot.get(task)
    const records = this.#idsOf(task, turnId(task, (snapshot?.version ?? 0) + 1))
      .filter(({ id }) => isTurnOrEmit(task, id))
      .flatMap(({ pos, id }) => [pos, ...(isTurn(task, id) ? this.#cancellationsAfter(task, pos) : [])])
      .flatMap(pos => stored(this.#sql.byPosition.get(pos))?.event ?? [])
    return { ...(snapshot && { snapshot: { version: snapshot.version, state: snapshot.state } }), records }
  }

  /** Takes two seeks for each task: its first id, which begins with the id of the task, and its last, which names the newest turn. */
  async newestTurns(correlation: string): Promise<CloudEvent[]> {
    const turns: CloudEvent[] = []
    const end = `${correlation}/`
    let next = this.#sql.firstId.get(`${correlation}.`, end)
    for (let n = 1; next; n++) {
      const task = next.id.split(':', 1)[0]!
      const version = parseId(this.#sql.lastId.get(next.id, `${task};`)!.id.slice(0, turnId(task, 1).length))?.version
      const turn = version === undefined ? undefined : this.get(turnId(task, version))
      if (turn) turns.push(turn.event)
      if (n % pageSize === 0) await yieldToEventLoop()
      next = this.#sql.firstId.get(`${task};`, end)
    }
    return turns
  }

  document(key: string, now: number): { revision: number; value: string } | undefined {
    const row = this.#sql.document.get(key)
    return row && (row.until ?? Infinity) > now ? { revision: row.revision, value: row.value } : undefined
  }

  async *deferred(): AsyncGenerator<DeferredDelivery> {
    type Row = Omit<DeferredDelivery, 'id' | 'event' | 'key' | 'reason'> & {
      id: number
      pos: number
      reason: string
      key: string | null
      json: string
    }
    const next = this.#prepare<Row>(`SELECT a.id, a.pos, a.state, a.grp AS "group", a.attempts, a.reason, a.key,
      l.event AS json FROM aside a JOIN log l ON l.pos = a.pos WHERE a.id > ? ORDER BY a.id LIMIT ${pageSize}`)
    for (let rows = next.all(0); rows.length; rows = next.all(rows.at(-1)!.id)) {
      for (const { id, pos, state, group, attempts, reason, key, json } of rows) {
        const event = eventFrom(json) ?? malformedEvent(json, this.locationOf(pos))
        yield {
          id: String(id),
          state,
          group,
          attempts,
          reason: readReason(reason),
          ...(key !== null && { key }),
          event,
        }
      }
      await yieldToEventLoop()
    }
  }

  async *overdue(before: number): AsyncGenerator<MissedWake> {
    const next = this.#prepare<{ group: string; task: string; due: number }>(`SELECT grp AS "group", task, wake AS due
      FROM live WHERE wake IS NOT NULL AND wake < ? AND (wake, task) > (?, ?) ORDER BY wake, task LIMIT ${pageSize}`)
    let rows = next.all(before, Number.MIN_SAFE_INTEGER, '')
    while (rows.length) {
      for (const { group, task, due } of rows) yield { kind: 'overdue', group, task, due }
      await yieldToEventLoop()
      const last = rows.at(-1)!
      rows = next.all(before, last.due, last.task)
    }
  }

  /** A frozen process of this machine still counts as a member. */
  hasMembers(group: string): boolean {
    type Row = { pid: number; started: string; host: string; until: number }
    return this.#prepare<Row>(`SELECT pid, started, host, until FROM members WHERE id IN
      (SELECT owner / ${consumersPerMember} FROM consumers WHERE grp = ?)`)
      .all(group)
      .some(member => (member.host === hostId ? startTimeOf(member.pid) === member.started : member.until > Date.now()))
  }

  busyGroups(): string[] {
    const groups = this.#prepare<{ name: string }>('SELECT name FROM groups ORDER BY name').all()
    return groups.map(({ name }) => name).filter(name => this.hasMembers(name))
  }

  /** The live tasks of all existing groups with their newest turns, in pages. Each page is read when it is asked for. */
  *liveTasks(): Generator<LiveTaskRow[]> {
    const next = this.#prepare<LiveTaskRow>(`SELECT grp AS "group", task, wake,
        (SELECT event FROM log WHERE id > live.task || ':' AND id < live.task || ';' AND type = 'task.turn'
         ORDER BY id DESC LIMIT 1) AS turn
      FROM live WHERE task > ? AND grp IN (SELECT name FROM groups) ORDER BY task LIMIT ${pageSize}`)
    for (let rows = next.all(''); rows.length; rows = next.all(rows.at(-1)!.task)) yield rows
  }

  /** `progress`: what the writer of this process knows about its shards and has not stored yet. */
  async groups(progress: readonly ShardProgress[]): Promise<GroupState[]> {
    type Row = { name: string; mode: GroupState['mode']; filter: string; next: number }
    const rows = this.#prepare<Row>('SELECT name, mode, filter, next FROM groups ORDER BY name').all()
    const states: GroupState[] = []
    for (const { name, mode, filter, next } of rows) {
      const claims = this.#count('SELECT count(*) AS n FROM claims WHERE grp = ?', name)
      const delayed = this.#count(`SELECT count(*) AS n FROM aside WHERE grp = ? AND state = 'delayed'`, name)
      const local = progress.filter(({ group }) => group === name)
      const inFlight = claims + local.reduce((sum, shard) => sum + shard.inFlight, 0)
      const from = mode === 'shared' ? next : this.#shardStarts(name, local)
      const unread = await this.#countFrom(from, JSON.parse(filter) as Filter)
      states.push({ group: name, mode, lag: unread + delayed + inFlight, inFlight })
    }
    return states
  }

  /** For each shard, the first position that was not looked at. */
  #shardStarts(group: string, local: readonly ShardProgress[]): Map<number, number> {
    type Row = { shard: number; next: number }
    const leases = this.#prepare<Row>('SELECT shard, next FROM leases WHERE grp = ?').all(group)
    const starts = new Map(leases.map(({ shard, next }) => [shard, next]))
    for (const { shard, cursor } of local) starts.set(shard, cursor + 1)
    return starts
  }

  async #countFrom(from: number | Map<number, number>, filter: Filter): Promise<number> {
    const matches = compileFilter(filter)
    const count = this.#prepare<{ type: string; target: string | null; shard: number; n: number }>(
      'SELECT type, target, shard, count(*) AS n FROM log WHERE pos >= ? AND pos < ? GROUP BY type, target, shard',
    )
    const starts = typeof from === 'number' ? [from] : [...new Set(from.values())].sort((a, b) => a - b)
    const head = this.head()
    const first = this.#prepare<{ pos: number | null }>('SELECT min(pos) AS pos FROM log WHERE pos >= ?')
    const firstFrom = (start: number) => first.get(start)!.pos ?? Infinity
    let total = 0
    for (let i = 0; i < starts.length; i++) {
      const end = starts[i + 1] ?? head + 1
      for (let start = firstFrom(starts[i]!); start < end; start = firstFrom(start + countChunk)) {
        for (const row of count.all(start, Math.min(end, start + countChunk)))
          if ((typeof from === 'number' || start >= from.get(row.shard)!) && matches(row)) total += row.n
        await yieldToEventLoop()
      }
    }
    return total
  }

  /** Removes from `refs` all blobs that an event or a snapshot references. */
  async removeReferenced(refs: Set<string>): Promise<void> {
    const sources = [
      `SELECT pos AS at, event AS text FROM log WHERE pos > ? ORDER BY pos LIMIT ${pageSize}`,
      `SELECT rowid AS at, state AS text FROM snapshots WHERE rowid > ? ORDER BY rowid LIMIT ${pageSize}`,
    ]
    for (const sql of sources) {
      const next = this.#prepare<{ at: number; text: string }>(sql)
      for (let rows = next.all(0); rows.length && refs.size; rows = next.all(rows.at(-1)!.at)) {
        for (const { text } of rows) for (const [ref] of text.matchAll(/sha256-[0-9a-f]{64}/g)) refs.delete(ref)
        await yieldToEventLoop()
      }
    }
  }

  #count(sql: string, group: string): number {
    return this.#prepare<{ n: number }>(sql).get(group)!.n
  }

  async *#scan(after: number, until: number, filter?: Filter): AsyncGenerator<LogEntry> {
    const matches = filter && compileFilter(filter)
    for (let from = after; ; await yieldToEventLoop()) {
      const rows = this.#sql.range.all(from, until, pageSize)
      yield* this.#entriesAt((matches ? rows.filter(matches) : rows).map(({ pos }) => pos))
      if (rows.length < pageSize) return
      from = rows.at(-1)!.pos
    }
  }

  async *#readAt(positions: () => number[]): AsyncGenerator<LogEntry> {
    const all = positions()
    for (let from = 0; from < all.length; from += pageSize) {
      if (from > 0) await yieldToEventLoop()
      yield* this.#entriesAt(all.slice(from, from + pageSize))
    }
  }

  *#entriesAt(positions: readonly number[]): Generator<LogEntry> {
    if (positions.length === 0) return
    for (const row of this.#sql.byPositions.all(JSON.stringify(positions))) {
      const found = toEntry(row)
      if (found) yield found
    }
  }

  #idsOf(task: string, from = `${task}:`): { pos: number; id: string }[] {
    return this.#sql.ids.all(from, `${task};`).sort((a, b) => a.pos - b.pos)
  }

  /** Positions of the calls that a turn cancelled. Their ids belong to older turns, but they are stored right after this one. */
  *#cancellationsAfter(task: string, turn: number): Generator<number> {
    for (let pos = turn + 1; ; pos++) {
      const id = this.#sql.columns.get(pos)?.id
      if (!id?.startsWith(`${task}:`) || isTurn(task, id)) return
      if (id.endsWith(':cancel')) yield pos
    }
  }

  /** Ids that the runtime creates begin with the correlation; a partial index holds the others. */
  #positionsOf(correlation: string, after: number, until: number): number[] {
    const end = correlation.slice(0, -1) + String.fromCharCode(correlation.charCodeAt(correlation.length - 1) + 1)
    return this.#prepare<{ pos: number }>(`SELECT pos FROM log WHERE id >= ?1 AND id < ?2 AND correlation = ?1
      UNION SELECT pos FROM log WHERE correlation = ?1 AND substr(id, 1, 36) <> correlation ORDER BY pos`)
      .all(correlation, end)
      .map(({ pos }) => pos)
      .filter(pos => pos > after && pos <= until)
  }
}

/** After the task, the id of a turn has one part, an emitted event two, an answer or a claim three. */
function isTurnOrEmit(task: string, id: string): boolean {
  return /^\d+(:\d+)?$/.test(id.slice(task.length + 1))
}

const isTurn = (task: string, id: string) => /^\d+$/.test(id.slice(task.length + 1))

function stored(row: LogRow | undefined): StoredEvent | undefined {
  const event = row && eventFrom(row.event)
  return event && { position: { partition: 0, offset: row.pos }, event }
}

function toEntry(row: LogRow | undefined): LogEntry | undefined {
  const found = stored(row)
  return found && { cursor: String(found.position.offset), position: found.position, event: found.event }
}

/** The log has one partition: its offsets are the values of `pos`. */
const toPos = (cursor: Cursor) => offsetsOf(cursor, 1)[0]!

export const yieldToEventLoop = () => new Promise<void>(resolve => setImmediate(resolve))
