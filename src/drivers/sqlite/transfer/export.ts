import { DatabaseSync } from 'node:sqlite'
import type { TransferRecord, TurnRecord } from '../../../bus/driver.ts'
import { parseId, turnId } from '../../../bus/ids.ts'
import { sqlFor } from '../../../bus/sql.ts'
import { yieldToEventLoop } from '../reader.ts'
import { exportSqliteGroups } from './export-groups.ts'
import { entryOfRow, type TransferRow } from './row.ts'

const rowColumns = 'pos, id, type, target, correlation, event'
const pageSize = 256

interface LiveRow {
  readonly grp: string
  readonly wake: number | null
}

function statementsFor(db: DatabaseSync) {
  const sql = sqlFor(db)
  return {
    page: sql<TransferRow>(`SELECT ${rowColumns} FROM log WHERE pos > ? ORDER BY pos LIMIT ${pageSize}`),
    at: sql<TransferRow>(`SELECT ${rowColumns} FROM log WHERE pos = ?`),
    between: sql<TransferRow>(`SELECT ${rowColumns} FROM log WHERE id >= ? AND id < ? ORDER BY pos`),
    exists: sql('SELECT 1 FROM log WHERE id = ?'),
    live: sql<LiveRow>('SELECT grp, wake FROM live WHERE task = ?'),
    snapshot: sql<{ state: string }>('SELECT state FROM snapshots WHERE task = ? AND version = ?'),
    ended: sql<{ task: string }>('SELECT task FROM seals WHERE task NOT IN (SELECT task FROM live)'),
    claims: sql<{ id: string }>(`SELECT id FROM log WHERE type = 'tool.claimed'`),
    documents: sql<{ key: string; value: string; until: number | null }>(
      'SELECT key, value, until FROM documents ORDER BY key',
    ),
  }
}

/** Everything that the log in this file holds. */
export async function* exportSqliteLog(file: string | URL): AsyncGenerator<TransferRecord> {
  using db = new DatabaseSync(file, { readOnly: true, timeout: 10_000 })
  const sql = statementsFor(db)
  yield* new LogExport(sql).records()
  for (const { task } of sql.ended.iterate()) yield { kind: 'ended', task }
  for (const { id } of sql.claims.iterate()) yield { kind: 'claim', id }
  for (const { key, value, until } of sql.documents.all()) {
    if (until !== null && until <= Date.now()) continue
    yield { kind: 'document', key, value, ...(until !== null && { expiresAt: until }) }
  }
  yield* exportSqliteGroups(db)
}

/** The events of the log, those that a turn emitted with their turn. */
class LogExport {
  readonly #sql: ReturnType<typeof statementsFor>
  /** Cancellations that were yielded with their turn, and that the reading has not reached yet. */
  readonly #cancellations = new Set<string>()

  constructor(sql: ReturnType<typeof statementsFor>) {
    this.#sql = sql
  }

  async *records(): AsyncGenerator<TransferRecord> {
    for (let rows = this.#sql.page.all(0); rows.length > 0; rows = this.#sql.page.all(rows.at(-1)!.pos)) {
      for (const row of rows) {
        const record = this.#recordOf(row)
        if (record) yield record
      }
      await yieldToEventLoop()
    }
  }

  #recordOf(row: TransferRow): TransferRecord | undefined {
    const position = { partition: 0, offset: row.pos }
    const made = parseId(row.id)
    if (!made || made.suffix !== undefined) {
      if (this.#cancellations.delete(row.id)) return undefined
      return { kind: 'event', position, entry: entryOfRow(row) }
    }
    const { task, version, ordinal } = made
    if (ordinal === undefined) return { ...this.#turn(row, task, version), position }
    // It is yielded with its turn, unless that was purged.
    return this.#sql.exists.get(turnId(task, version)) ? undefined : { kind: 'event', position, entry: entryOfRow(row) }
  }

  #turn(row: TransferRow, task: string, version: number): Omit<TurnRecord, 'position'> {
    const live = this.#sql.live.get(task)
    const isNewest = !this.#sql.exists.get(turnId(task, version + 1))
    const snapshot = live && this.#sql.snapshot.get(task, version)
    return {
      kind: 'turn',
      task,
      version,
      entry: entryOfRow(row),
      events: [...this.#emitted(row.id), ...this.#cancelled(task, row.pos)].map(entryOfRow),
      ...(live && { group: live.grp }),
      ...(isNewest && { state: live ? { wake: live.wake } : 'ended' }),
      ...(snapshot && { snapshot: snapshot.state }),
    }
  }

  #emitted(turn: string): TransferRow[] {
    return this.#sql.between.all(`${turn}:`, `${turn};`).filter(({ id }) => /^\d+$/.test(id.slice(turn.length + 1)))
  }

  /** They have the ids of older turns, and are stored right after the turn that cancelled. */
  *#cancelled(task: string, turn: number): Generator<TransferRow> {
    for (let pos = turn + 1; ; pos++) {
      const row = this.#sql.at.get(pos)
      if (!row?.id.startsWith(`${task}:`) || /^\d+$/.test(row.id.slice(task.length + 1))) return
      if (!row.id.endsWith(':cancel')) continue
      this.#cancellations.add(row.id)
      yield row
    }
  }
}
