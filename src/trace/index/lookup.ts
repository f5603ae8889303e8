import type { DatabaseSync } from 'node:sqlite'
import type { Cursor, Position } from '../../bus/driver.ts'
import { correlationOf, isCorrelation, isTaskId, retryId } from '../../bus/ids.ts'
import { prepareSql, type SqlValue } from '../../bus/sql.ts'
import { TidingsError } from '../../errors.ts'
import { matchesType } from '../../pattern.ts'
import { turnType } from '../../tasks/turn.ts'
import { longForm } from '../short-id.ts'
import { listActions } from './action-list.ts'
import { indexedUpTo } from './catch-up.ts'
import { splitId } from './entry.ts'
import { type EventPage, listEvents } from './event-list.ts'
import { oldestCalls, openCalls, type OldestCall } from './open-calls.ts'
import { keysOf, unpack } from './packed.ts'
import { countTasks, type ProgramCounts } from './program-counts.ts'
import { resolveId, maxCandidates } from './resolve-id.ts'
import type {
  ActionFilter,
  ActionRow,
  AwaitedRow,
  EventFilter,
  FailureFilter,
  FailureRow,
  IndexReader,
  ListOf,
  ListPage,
  SearchFilter,
  TaskFilter,
  TaskRow,
  TurnPlaces,
  UsageFilter,
  UsageRow,
} from './rows.ts'
import { listTasks } from './task-list.ts'
import { turnPlaces } from './turn-places.ts'
import { typeKeys } from './types.ts'
import { listUsage } from './usage.ts'
import { queryOf } from './words.ts'

interface EventRow {
  readonly id: string
  readonly pos: number
}

interface DatedRow {
  readonly pos: number
  readonly time: number
}

/** Queries the index of one log, as of its last update. */
export class Index {
  readonly #db: DatabaseSync
  readonly #partitions: number

  constructor(db: DatabaseSync, partitions: number) {
    this.#db = db
    this.#partitions = partitions
  }

  /** Positions of the events of a correlation, in log order. */
  positionsOf(correlation: string): Position[] {
    return this.#all<{ pos: number }>(
      'SELECT e.pos FROM correlations c JOIN events e ON e.correlation = c.key WHERE c.id = ? ORDER BY e.pos',
      correlation,
    ).map(({ pos }) => unpack(pos))
  }

  /** Positions of the newest events of these types, oldest first. */
  ofTypes(types: readonly string[], limit: number): Position[] {
    const newest = this.#newest(
      limit,
      `SELECT pos, time FROM events WHERE pos BETWEEN ? AND ?
        AND type IN (SELECT key FROM names WHERE name IN (SELECT value FROM json_each(?))) ORDER BY pos DESC LIMIT ?`,
      JSON.stringify(types),
    )
    return newest.map(({ pos }) => unpack(pos)).reverse()
  }

  /** Position of the first event with this id. */
  positionOf(id: string): Position | undefined {
    const pos = this.#posOf(id)
    return pos === undefined ? undefined : unpack(pos)
  }

  #posOf(id: string): number | undefined {
    const place = splitId(id)
    const found = place && this.#emitted(correlationOf(id), place.hash, place.name)
    return found ?? this.#all<{ pos: number }>(outsideEvents('name = ?'), id)[0]?.pos
  }

  /**
   * Finds a task by its id, by the last characters of its id, or by those of its correlation if it is the only task there.
   * @throws E_USAGE, E_NOT_FOUND, E_AMBIGUOUS
   */
  task(text: string, program?: string): string {
    const find = () => this.#tasksEndingIn(text, program)
    const newest = () => this.tasks({ limit: maxCandidates, ...(program && { program }) }).map(({ task }) => task)
    return isTaskId(text)
      ? text
      : resolveId(text, program === undefined ? 'task' : `task of ${program}`, find, newest).id
  }

  /** Finds a task or an event by the last characters of its id. @throws E_USAGE, E_NOT_FOUND, E_AMBIGUOUS */
  taskOrEvent(text: string): { task: string } | { event: Position } {
    if (isTaskId(text)) return { task: text }
    const exact = this.#exact(text)
    if (exact) return { event: unpack(exact.pos) }
    const find = () => {
      const tasks = this.#tasksEndingIn(text)
      // The id of a retry event ends with that of its task: the task wins.
      const retries = new Set(tasks.map(({ id }) => retryId(id)))
      const events = this.#endingIn(text).filter(({ id }) => !retries.has(id))
      return [...events, ...tasks].map(each => ({ pos: undefined, ...each }))
    }
    const { id, pos } = resolveId(text, 'event or task', find, () => this.#newestEvents())
    return pos === undefined ? { task: id } : { event: unpack(pos) }
  }

  /**
   * Finds a correlation by its id, by its first or last characters, by `last` (that of the newest event), or by a task or event in it.
   * @throws E_USAGE, E_NOT_FOUND, E_AMBIGUOUS
   */
  correlation(text: string): string {
    const isWhole: boolean = isCorrelation(text)
    if (isWhole) return text
    if (text === 'last') return this.#last()
    const find = () => {
      const found = this.#all<{ id: string }>(
        `SELECT id FROM correlations WHERE id >= ?1 AND id < ?1 || 'g' UNION SELECT id FROM correlations
        WHERE substr(id, -length(?1)) = ?1 ORDER BY id LIMIT ${maxCandidates + 1}`,
        text,
      )
      return found.length > 0 ? found : this.#correlationsOf(text)
    }
    return resolveId(text, 'correlation', find, () => this.actions(maxCandidates).map(({ correlation }) => correlation))
      .id
  }

  /** Correlations of the tasks and events whose ids end with a text. */
  #correlationsOf(text: string): { id: string }[] {
    const exact = this.#exact(text)
    const events = exact ? [exact] : this.#endingIn(text)
    const positions = JSON.stringify(events.map(({ pos }) => pos))
    return [
      ...this.#tasksEndingIn(text).map(({ id }) => ({ id: correlationOf(id) })),
      ...this.#all<{ id: string }>(
        `SELECT c.id FROM events e JOIN correlations c ON c.key = e.correlation WHERE e.pos IN (SELECT value FROM json_each(?))`,
        positions,
      ),
    ]
  }

  /** Position of the end of a task, or of its newest turn if it has not ended. */
  newestOf(task: string): Position | undefined {
    const [newest] = this.#all<{ pos: number }>(
      `SELECT e.pos FROM correlations c JOIN tasks t ON t.correlation = c.key
      JOIN events e ON e.correlation = c.key AND e.task = t.key JOIN names n ON n.key = e.type
      WHERE c.id = ? AND t.hash = ? AND (n.name = '${turnType}' OR n.name LIKE 'agent.task.%') ORDER BY e.pos DESC LIMIT 1`,
      correlationOf(task),
      task.slice(37),
    )
    return newest && unpack(newest.pos)
  }

  #last(): string {
    const [newest] = this.actions(1)
    if (!newest)
      throw new TidingsError('E_NOT_FOUND', 'the log is empty', {
        next: 'Publish an event first, or choose another log with TIDINGS_HOME or TIDINGS_BUS.',
      })
    return newest.correlation
  }

  /** Positions of the events that contain all words, newest first. @throws E_USAGE */
  search(text: string, { type, since, limit }: SearchFilter): Position[] {
    const query = queryOf(text)
    const types = type === undefined ? undefined : JSON.stringify(typeKeys(this.#db, name => matchesType(type, name)))
    const found = this.#newest(
      limit,
      `SELECT e.pos, e.time FROM words w JOIN events e ON e.pos = w.rowid WHERE w.rowid BETWEEN ? AND ? AND w.words MATCH ?
      ${types === undefined ? '' : 'AND e.type IN (SELECT value FROM json_each(?))'} ${since === undefined ? '' : 'AND e.time >= ?'}
      ORDER BY w.rowid DESC LIMIT ?`,
      query,
      ...[types, since].filter(value => value !== undefined),
    )
    return found.map(({ pos }) => unpack(pos))
  }

  /** Tasks, most recently active first. */
  tasks(filter: TaskFilter): readonly TaskRow[] {
    return this.taskList(filter).rows
  }

  /** @throws E_REQUEST_INVALID for a `before` that no list returned */
  taskList(filter: TaskFilter): ListOf<TaskRow> {
    return listTasks(this.#db, this.#partitions, filter)
  }

  /** Each target that live tasks wait for, or this one, with the number of open calls and the oldest one. */
  awaited({
    task,
    tenant,
  }: {
    readonly task?: string | undefined
    readonly tenant?: string | undefined
  }): AwaitedRow[] {
    return this.#all<AwaitedRow>(
      `SELECT n.name AS target, count(*) AS waiting, c.id || '.' || t.hash || ':' || o.name AS call, p.name AS program,
        min(t.at) AS since
      FROM calls o JOIN tasks t ON t.key = o.task JOIN correlations c ON c.key = t.correlation
        JOIN names n ON n.key = o.target JOIN names p ON p.key = t.program
      WHERE NOT o.answered AND t.end IS NULL
        AND (?1 IS NULL OR (c.id = substr(?1, 1, 36) AND t.hash = substr(?1, 38)))
        AND (?2 IS NULL OR t.tenant = (SELECT key FROM names WHERE name = ?2)) GROUP BY o.target`,
      task ?? null,
      tenant ?? null,
    )
  }

  /** Failed tasks that were neither retried nor dismissed, newest first. */
  failures(filter: FailureFilter): FailureRow[] {
    const { task, program, tenant, since = 0, until = Number.MAX_SAFE_INTEGER, limit = -1 } = filter
    const rows = this.#all<Omit<FailureRow, 'position'> & { pos: number }>(
      `SELECT c.id || '.' || t.hash AS task, p.name AS program, f.pos, f.at
      FROM failures f JOIN tasks t ON t.key = f.task JOIN correlations c ON c.key = t.correlation
        LEFT JOIN names p ON p.key = t.program
      WHERE f.at >= ?1 AND f.at <= ?2 AND (?3 IS NULL OR p.name = ?3)
        AND (?5 IS NULL OR (c.id = substr(?5, 1, 36) AND t.hash = substr(?5, 38)))
        AND (?6 IS NULL OR t.tenant = (SELECT key FROM names WHERE name = ?6)) ORDER BY f.at DESC, f.pos DESC LIMIT ?4`,
      since,
      until,
      program ?? null,
      limit,
      task ?? null,
      tenant ?? null,
    )
    return rows.map(({ pos, ...row }) => ({ ...row, position: unpack(pos) }))
  }

  /** Number of such tasks that failed at this time or later, ms since the epoch. */
  failed(since: number, tenant?: string): number {
    const sql = `SELECT count(*) AS n FROM failures f WHERE f.at >= ?1 AND (?2 IS NULL OR EXISTS (SELECT 1 FROM tasks t
      WHERE t.key = f.task AND t.tenant = (SELECT key FROM names WHERE name = ?2)))`
    return this.#all<{ n: number }>(sql, since, tenant ?? null)[0]!.n
  }

  /** Number of tasks of a program that have not ended. */
  live(program: string): number {
    return this.#all<{ n: number }>(
      `SELECT count(*) AS n FROM tasks WHERE program = (SELECT key FROM names WHERE name = ?) AND end IS NULL`,
      program,
    )[0]!.n
  }

  /** Correlations, most recently active first, without those of operator commands (`control.*`, `operation.*`). */
  actions(limit: number): readonly ActionRow[] {
    return this.actionList({ limit }).rows
  }

  /** @throws E_REQUEST_INVALID for a `before` that no list returned */
  actionList(filter: ActionFilter): ListOf<ActionRow> {
    return listActions(this.#db, filter)
  }

  /** The given correlations, as far as they are on the log. */
  actionsOf(correlations: readonly string[]): readonly ActionRow[] {
    return listActions(this.#db, { correlations, limit: correlations.length }).rows
  }

  /** Events, newest first. @throws E_REQUEST_INVALID for a `before` of another log, E_USAGE if the text has no words */
  events(reader: IndexReader, filter: EventFilter, page: ListPage): Promise<EventPage> {
    return listEvents(this.#db, this.#partitions, { reader, filter, page })
  }

  /** The turns of a task after a version, oldest first, or the last ones, and what they emitted and got as answers. */
  turnsOf(
    task: string,
    page: { readonly after: number; readonly limit: number } | { readonly last: number },
  ): TurnPlaces {
    return turnPlaces(this.#db, task, page)
  }

  /** Positions of the calls of a task that have no answer yet, oldest first: 500 at most. */
  openCalls(task: string): Position[] {
    return openCalls(this.#db, task)
  }

  oldestCalls(tenant: string): OldestCall[] {
    return oldestCalls(this.#db, tenant)
  }

  taskCounts(program: string, tenant: string): ProgramCounts {
    return countTasks(this.#db, program, tenant)
  }

  usage(filter: UsageFilter): UsageRow[] {
    return listUsage(this.#db, filter)
  }

  /** Covers everything that is indexed. */
  get head(): Cursor {
    return indexedUpTo(this.#db)
  }

  /** Finds an event by its full id; turn numbers may lack leading zeros. */
  #exact(text: string): { pos: number } | undefined {
    const pos = this.#posOf(text) ?? this.#posOf(longForm(text))
    return pos === undefined ? undefined : { pos }
  }

  #endingIn(short: string): EventRow[] {
    const text = longForm(short)
    const limit = maxCandidates + 1
    const found = [...new Set([short, text])].flatMap(each =>
      this.#all<EventRow>(outsideEvents(`substr(name, -length(?1)) = ?1 LIMIT ${limit}`), each),
    )
    const [, correlation = '', hash, name] = /^(?:([0-9a-f-]*)\.)?([0-9a-z]+):(\d{7}(?::.+)?)$/.exec(text) ?? []
    if (hash === undefined || name === undefined) return found
    const tasks = this.#all<{ correlation: string; hash: string }>(
      `SELECT c.id AS correlation, t.hash FROM tasks t JOIN correlations c ON c.key = t.correlation
      WHERE t.hash LIKE '%' || ? AND c.id LIKE '%' || ?`,
      hash,
      correlation,
    )
    for (const task of tasks) {
      const pos = this.#emitted(task.correlation, task.hash, name)
      if (pos !== undefined && found.length < limit) found.push({ id: `${task.correlation}.${task.hash}:${name}`, pos })
    }
    return found
  }

  #tasksEndingIn(text: string, program?: string): { id: string }[] {
    const find = (correlation: string, hash: string) =>
      this.#all<{ id: string }>(
        `SELECT c.id || '.' || t.hash AS id FROM tasks t JOIN correlations c ON c.key = t.correlation
        LEFT JOIN names p ON p.key = t.program
        WHERE c.id LIKE '%' || ?1 AND t.hash LIKE '%' || ?2 AND (?3 IS NULL OR p.name = ?3)
        ORDER BY t.at DESC, t.last DESC LIMIT ${maxCandidates + 1}`,
        correlation,
        hash,
        program ?? null,
      )
    const [, correlation = '', hash] = /^(?:([0-9a-f-]*)\.)?([0-9a-z]+)$/.exec(text) ?? []
    const found = hash === undefined ? [] : find(correlation, hash)
    return found.length > 0 || !/^[0-9a-f-]+$/.test(text) ? found : find(text, '')
  }

  #newestEvents(): string[] {
    return this.#newest<DatedRow & { id: string }>(
      maxCandidates,
      `SELECT e.pos, e.time, CASE WHEN t.hash IS NULL THEN e.name ELSE c.id || '.' || t.hash || ':' || e.name END AS id
      FROM events e JOIN correlations c ON c.key = e.correlation LEFT JOIN tasks t ON t.key = e.task
      WHERE e.pos BETWEEN ? AND ? ORDER BY e.pos DESC LIMIT ?`,
    ).map(({ id }) => id)
  }

  /**
   * The newest rows of a query, newest first. It gets the first and last key of a partition, the values and the limit, and returns the
   * newest rows of that partition.
   */
  #newest<R extends DatedRow>(limit: number, sql: string, ...values: SqlValue[]): R[] {
    const rows = Array.from({ length: this.#partitions }, (_, partition) => {
      const { low, high } = keysOf(partition)
      return this.#all<R>(sql, low, high, ...values, limit)
    })
    return rows
      .flat()
      .toSorted((a, b) => b.time - a.time || b.pos - a.pos)
      .slice(0, limit)
  }

  #emitted(correlation: string, hash: string, name: string): number | undefined {
    return this.#all<{ pos: number }>(
      `SELECT e.pos FROM correlations c JOIN tasks t ON t.correlation = c.key
      JOIN events e ON e.correlation = c.key AND e.task = t.key AND e.name = ?
      WHERE c.id = ? AND t.hash = ? ORDER BY e.pos LIMIT 1`,
      name,
      correlation,
      hash,
    )[0]?.pos
  }

  #all<R>(sql: string, ...values: SqlValue[]): R[] {
    return prepareSql<R>(this.#db, sql).all(...values)
  }
}

const outsideEvents = (condition: string) => `SELECT pos, name AS id FROM events WHERE task IS NULL AND ${condition}`
