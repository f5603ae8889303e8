import { DatabaseSync } from 'node:sqlite'
import type {
  DeferredDelivery,
  GroupState,
  TaskJournal,
  MissedWake,
  Position,
  LogQuery,
  StoredEvent,
} from '../../bus/driver.ts'
import { parseId, turnId } from '../../bus/ids.ts'
import { eventFrom, malformedEvent, type DeliverySource } from '../../bus/malformed.ts'
import { readReason } from '../../bus/reason.ts'
import type { CloudEvent } from '../../event.ts'
import { compileFilter, type Filter } from '../../pattern.ts'
import type { LocalShard } from './protocol.ts'
import { host, startOf } from './processes.ts'
import { consumersPerMember, prepare } from './schema.ts'

interface LogRow {
  pos: number
  event: string
}

/** A live task; `turn` is its newest as JSON. */
export interface Live {
  readonly group: string
  readonly task: string
  readonly wake: number | null
  readonly turn: string | null
}

const page = 256
const countedAtOnce = 20_000

/** Reads the log on a connection of its own: in WAL mode the writer is neither blocked nor waited for. */
export class Reader {
  readonly #db: DatabaseSync
  readonly #byId
  readonly #byPosition
  readonly #idAt
  readonly #columns
  readonly #exists
  readonly #range
  readonly #head
  readonly #firstId
  readonly #lastId
  readonly #snapshot
  readonly #document

  constructor(file: string | URL) {
    this.#db = new DatabaseSync(file, { readOnly: true, timeout: 10_000 })
    this.#byId = prepare<LogRow>(this.#db, 'SELECT pos, event FROM log WHERE id = ?')
    this.#byPosition = prepare<LogRow>(this.#db, 'SELECT pos, event FROM log WHERE pos = ?')
    this.#idAt = prepare<{ id: string }>(this.#db, 'SELECT id FROM log WHERE pos = ?')
    this.#columns = prepare<{ id: string; correlation: string }>(
      this.#db,
      'SELECT id, correlation FROM log WHERE pos = ?',
    )
    this.#exists = prepare(this.#db, 'SELECT 1 FROM log WHERE id = ?')
    this.#range = prepare<{ pos: number; type: string; target: string | null }>(
      this.#db,
      'SELECT pos, type, target FROM log WHERE pos > ? AND pos <= ? ORDER BY pos LIMIT ?',
    )
    this.#head = prepare<{ head: number | null }>(this.#db, 'SELECT max(pos) AS head FROM log')
    this.#firstId = prepare<{ id: string }>(this.#db, 'SELECT id FROM log WHERE id >= ? AND id < ? ORDER BY id LIMIT 1')
    this.#lastId = prepare<{ id: string }>(
      this.#db,
      'SELECT id FROM log WHERE id >= ? AND id < ? ORDER BY id DESC LIMIT 1',
    )
    this.#snapshot = prepare<{ version: number; state: string }>(
      this.#db,
      'SELECT version, state FROM snapshots WHERE task = ?',
    )
    this.#document = prepare<{ revision: number; value: string }>(
      this.#db,
      'SELECT revision, value FROM documents WHERE key = ?',
    )
  }

  close(): void {
    this.#db.close()
  }

  get(id: string): StoredEvent | undefined {
    return stored(this.#byId.get(id))
  }

  at(positions: readonly Position[]): (StoredEvent | undefined)[] {
    return positions.map(position => stored(this.#byPosition.get(position)))
  }

  /** What the columns say of an event, whatever its text is. */
  whereabouts(position: Position): DeliverySource {
    const { id, correlation } = this.#columns.get(position)!
    return { id, correlationid: correlation, at: { position } }
  }

  has(id: string): boolean {
    return this.#exists.get(id) !== undefined
  }

  head(): Position {
    return this.#head.get()!.head ?? 0
  }

  read(query: LogQuery): AsyncIterable<StoredEvent> {
    if ('task' in query) return this.#at(() => this.#idsOf(query.task).map(({ pos }) => pos))
    if ('correlation' in query) return this.#at(() => this.#positionsOf(query.correlation, query))
    return this.#scan(query.after ?? 0, query.until ?? Number.MAX_SAFE_INTEGER, query.limit ?? Infinity, query.filter)
  }

  journal(task: string): TaskJournal {
    const snapshot = this.#snapshot.get(task)
    const records = this.#idsOf(task, turnId(task, (snapshot?.version ?? 0) + 1))
      .filter(({ id }) => isTurnOrEmit(task, id))
      .flatMap(({ pos, id }) => [pos, ...(isTurn(task, id) ? this.#withdrawals(task, pos) : [])])
      .flatMap(pos => stored(this.#byPosition.get(pos))?.event ?? [])
    return { ...(snapshot && { snapshot: { version: snapshot.version, state: snapshot.state } }), records }
  }

  /** Two seeks a task: its first id, which begins with that of the task, and its last, which names the newest turn. */
  async newestTurns(correlation: string): Promise<CloudEvent[]> {
    const turns: CloudEvent[] = []
    const end = `${correlation}/`
    let next = this.#firstId.get(`${correlation}.`, end)
    for (let n = 1; next; n++) {
      const task = next.id.split(':', 1)[0]!
      const version = parseId(this.#lastId.get(next.id, `${task};`)!.id.slice(0, turnId(task, 1).length))?.version
      const turn = version === undefined ? undefined : this.get(turnId(task, version))
      if (turn) turns.push(turn.event)
      if (n % page === 0) await breath()
      next = this.#firstId.get(`${task};`, end)
    }
    return turns
  }

  document(key: string): { revision: number; value: string } | undefined {
    const row = this.#document.get(key)
    return row && { revision: row.revision, value: row.value }
  }

  async *attention(): AsyncGenerator<DeferredDelivery> {
    type Row = Omit<DeferredDelivery, 'id' | 'event' | 'key' | 'reason'> & {
      id: number
      pos: number
      reason: string
      key: string | null
      json: string
    }
    const next = prepare<Row>(
      this.#db,
      `SELECT a.id, a.pos, a.state, a.grp AS "group", a.attempts, a.reason, a.key, l.event AS json FROM aside a
       JOIN log l ON l.pos = a.pos WHERE a.id > ? ORDER BY a.id LIMIT ${page}`,
    )
    for (let rows = next.all(0); rows.length; rows = next.all(rows.at(-1)!.id)) {
      for (const { id, pos, state, group, attempts, reason, key, json } of rows) {
        const event = eventFrom(json) ?? malformedEvent(json, this.whereabouts(pos))
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
      await breath()
    }
  }

  async *overdue(before: number): AsyncGenerator<MissedWake> {
    const next = prepare<{ group: string; task: string; due: number }>(
      this.#db,
      `SELECT grp AS "group", task,
      wake AS due FROM live WHERE wake IS NOT NULL AND wake < ? AND (wake, task) > (?, ?) ORDER BY wake, task
      LIMIT ${page}`,
    )
    let rows = next.all(before, Number.MIN_SAFE_INTEGER, '')
    while (rows.length) {
      for (const { group, task, due } of rows) yield { kind: 'overdue', group, task, due }
      await breath()
      const last = rows.at(-1)!
      rows = next.all(before, last.due, last.task)
    }
  }

  /** A process of this machine that is frozen is a member still. */
  hasMembers(group: string): boolean {
    return prepare<{ pid: number; started: string; host: string; until: number }>(
      this.#db,
      `SELECT pid, started, host, until FROM members WHERE id IN
      (SELECT owner / ${consumersPerMember} FROM consumers WHERE grp = ?)`,
    )
      .all(group)
      .some(member => (member.host === host ? startOf(member.pid) === member.started : member.until > Date.now()))
  }

  /** The live tasks of all groups that are worked, with their newest turns, a page at a time, each as it is when it is read. */
  *live(): Generator<Live[]> {
    const next = prepare<Live>(
      this.#db,
      `SELECT grp AS "group", task, wake,
        (SELECT event FROM log WHERE id > live.task || ':' AND id < live.task || ';' AND type = 'task.turn'
         ORDER BY id DESC LIMIT 1) AS turn
      FROM live WHERE task > ? AND grp IN (SELECT name FROM groups) ORDER BY task LIMIT ${page}`,
    )
    for (let rows = next.all(''); rows.length; rows = next.all(rows.at(-1)!.task)) yield rows
  }

  /** `local`: what the writer of this process knows of its shards and has not written down. */
  async groups(local: readonly LocalShard[]): Promise<GroupState[]> {
    const rows = prepare<{ name: string; mode: GroupState['mode']; filter: string; next: number }>(
      this.#db,
      'SELECT name, mode, filter, next FROM groups ORDER BY name',
    ).all()
    const states: GroupState[] = []
    for (const { name, mode, filter, next } of rows) {
      const claims = this.#count('SELECT count(*) AS n FROM claims WHERE grp = ?', name)
      const delayed = this.#count(`SELECT count(*) AS n FROM aside WHERE grp = ? AND state = 'delayed'`, name)
      const known = new Map(local.filter(([group]) => group === name).map(([, shard, ...state]) => [shard, state]))
      const inHand = [...known.values()].reduce((sum, [, inFlight]) => sum + inFlight, 0)
      const from = mode === 'shared' ? next : this.#cursors(name, known)
      const behind = await this.#countFrom(from, JSON.parse(filter) as Filter)
      states.push({ group: name, mode, lag: behind + claims + delayed + inHand, inFlight: claims + inHand })
    }
    return states
  }

  /** First position not looked at, for each shard. */
  #cursors(group: string, known: Map<number, [cursor: number, inFlight: number]>): Map<number, number> {
    const leases = prepare<{ shard: number; next: number }>(
      this.#db,
      'SELECT shard, next FROM leases WHERE grp = ?',
    ).all(group)
    return new Map(leases.map(({ shard, next }) => [shard, (known.get(shard)?.[0] ?? next - 1) + 1]))
  }

  async #countFrom(from: number | Map<number, number>, filter: Filter): Promise<number> {
    const matches = compileFilter(filter)
    const count = prepare<{ type: string; target: string | null; shard: number; n: number }>(
      this.#db,
      `SELECT type, target, shard, count(*) AS n FROM log WHERE pos >= ? AND pos < ? GROUP BY type, target, shard`,
    )
    const marks = typeof from === 'number' ? [from] : [...new Set(from.values())].sort((a, b) => a - b)
    const head = this.head()
    let total = 0
    for (let i = 0; i < marks.length; i++) {
      const end = marks[i + 1] ?? head + 1
      for (let start = marks[i]!; start < end; start += countedAtOnce) {
        for (const row of count.all(start, Math.min(end, start + countedAtOnce)))
          if ((typeof from === 'number' || start >= from.get(row.shard)!) && matches(row)) total += row.n
        await breath()
      }
    }
    return total
  }

  /** Takes out of `refs` every blob that an event or a snapshot still names. */
  async keepUnnamed(refs: Set<string>): Promise<void> {
    const sources = [
      `SELECT pos AS at, event AS text FROM log WHERE pos > ? ORDER BY pos LIMIT ${page}`,
      `SELECT rowid AS at, state AS text FROM snapshots WHERE rowid > ? ORDER BY rowid LIMIT ${page}`,
    ]
    for (const sql of sources) {
      const next = prepare<{ at: number; text: string }>(this.#db, sql)
      for (let rows = next.all(0); rows.length && refs.size; rows = next.all(rows.at(-1)!.at)) {
        for (const { text } of rows) for (const [ref] of text.matchAll(/sha256-[0-9a-f]{64}/g)) refs.delete(ref)
        await breath()
      }
    }
  }

  #count(sql: string, group: string): number {
    return prepare<{ n: number }>(this.#db, sql).get(group)!.n
  }

  async *#scan(after: number, until: number, limit: number, filter?: Filter): AsyncGenerator<StoredEvent> {
    const matches = filter && compileFilter(filter)
    let left = limit
    let from = after
    while (left > 0) {
      const size = matches ? page : Math.min(page, left)
      const rows = this.#range.all(from, until, size)
      for (const row of rows) {
        if (matches && !matches(row)) continue
        const found = stored(this.#byPosition.get(row.pos))
        if (!found) continue
        yield found
        if (--left === 0) return
      }
      if (rows.length < size) return
      from = rows.at(-1)!.pos
      await breath()
    }
  }

  async *#at(positions: () => number[]): AsyncGenerator<StoredEvent> {
    let n = 0
    for (const pos of positions()) {
      const found = stored(this.#byPosition.get(pos))
      if (found) yield found
      if (++n % page === 0) await breath()
    }
  }

  /** Ids of a task, or from one of its ids on, in the order of positions. */
  #idsOf(task: string, from = `${task}:`): { pos: number; id: string }[] {
    return prepare<{ pos: number; id: string }>(this.#db, 'SELECT pos, id FROM log WHERE id >= ? AND id < ?')
      .all(from, `${task};`)
      .sort((a, b) => a.pos - b.pos)
  }

  /** Where a turn withdrew calls: the ids are those of the calls, which are older, but they lie right behind the turn. */
  *#withdrawals(task: string, turn: number): Generator<number> {
    for (let pos = turn + 1; ; pos++) {
      const id = this.#idAt.get(pos)?.id
      if (!id?.startsWith(`${task}:`) || isTurn(task, id)) return
      if (id.endsWith(':cancel')) yield pos
    }
  }

  /** Ids made by the runtime begin with the correlation; the partial index has the others. */
  #positionsOf(correlation: string, { after = 0, until = Infinity }: { after?: Position; until?: Position }): number[] {
    const end = correlation.slice(0, -1) + String.fromCharCode(correlation.charCodeAt(correlation.length - 1) + 1)
    return prepare<{ pos: number }>(
      this.#db,
      `SELECT pos FROM log WHERE id >= ?1 AND id < ?2 AND correlation = ?1
      UNION SELECT pos FROM log WHERE correlation = ?1 AND substr(id, 1, 36) <> correlation ORDER BY pos`,
    )
      .all(correlation, end)
      .map(({ pos }) => pos)
      .filter(pos => pos > after && pos <= until)
  }
}

/** A turn has one part after the task, an event that it emitted two; answers and claims have three. */
function isTurnOrEmit(task: string, id: string): boolean {
  return /^\d+(:\d+)?$/.test(id.slice(task.length + 1))
}

const isTurn = (task: string, id: string) => /^\d+$/.test(id.slice(task.length + 1))

/** Undefined where there is no row, and for one that holds no event. */
function stored(row: LogRow | undefined): StoredEvent | undefined {
  const event = row && eventFrom(row.event)
  return event && { position: row.pos, event }
}

export const breath = () => new Promise<void>(resolve => setImmediate(resolve))
