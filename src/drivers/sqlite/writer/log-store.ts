import { DatabaseSync } from 'node:sqlite'
import { shardOf } from '../../../bus/ids.ts'
import { isBusy, sqlFor } from '../../../bus/sql.ts'
import { TidingsError } from '../../../errors.ts'
import { LogMark } from '../log-mark.ts'
import { OpenFiles } from '../open-files.ts'
import type { EventRow, WriterOptions } from '../protocol.ts'
import { logFile, newestPosition, walPages } from '../schema.ts'

/** An event on its way to the groups: just stored as row `row` of operation `op`, or read back as `json` with `op` -1. */
export interface OfferedEvent {
  pos: number
  id: string
  type: string
  target: string | null
  shard: number
  /** Fencing token of the shard whose owner received the event early, 0 for none. */
  earlyToken: number
  op: number
  row: number
  json: string
}

interface LogRow {
  pos: number
  id: string
  type: string
  target: string | null
  shard: number
}

const rowColumns = 'pos, id, type, target, shard'

function statementsFor(db: DatabaseSync) {
  const sql = sqlFor(db)
  return {
    insert: sql('INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT(id) DO NOTHING'),
    positionOf: sql<{ pos: number }>('SELECT pos FROM log WHERE id = ?'),
    scan: sql<LogRow>(`SELECT ${rowColumns} FROM log WHERE pos > ? AND pos <= ? ORDER BY pos LIMIT ?`),
    tail: sql<LogRow & { json: string }>(`SELECT ${rowColumns}, event AS json FROM log WHERE pos > ? ORDER BY pos`),
    event: sql<{ event: string }>('SELECT event FROM log WHERE pos = ?'),
    totalChanges: sql<{ n: number }>('SELECT total_changes() AS n'),
    dataVersion: sql<{ data_version: number }>('PRAGMA data_version'),
    newest: sql<{ head: number }>(newestPosition),
  }
}

/** The connection that writes: transactions, appending, scanning. */
export class LogStore {
  readonly db: DatabaseSync
  readonly shards: number
  head = 0
  readonly #synchronous: WriterOptions['synchronous']
  readonly #files: OpenFiles
  readonly #mark: LogMark
  /** The position that the mark holds. */
  #markedHead = -1
  #isDurable = true
  #changesBefore = 0
  #dataVersion = 0
  readonly #sql: ReturnType<typeof statementsFor>

  constructor(options: WriterOptions) {
    this.db = new DatabaseSync(logFile(options.home), { timeout: 10_000 })
    this.db.exec(`PRAGMA synchronous = ${options.synchronous}; PRAGMA wal_autocheckpoint = ${walPages};
      PRAGMA cache_size = -65536; PRAGMA temp_store = MEMORY`)
    this.shards = options.shards
    this.#synchronous = options.synchronous
    this.#sql = statementsFor(this.db)
    this.reload()
    this.#files = new OpenFiles(options.home)
    this.#mark = new LogMark(options.home, options.log)
    this.#mark.write(this.head)
  }

  /**
   * Waits while another process writes: a busy log has not failed. `isDurable` is false for a transaction that only claims and
   * renews leases: it acknowledges nothing, and after a power failure its members are gone, too.
   */
  begin(isDurable: boolean): void {
    this.#setSynchronous(isDurable)
    for (;;) {
      try {
        this.db.exec('BEGIN IMMEDIATE')
        break
      } catch (error) {
        if (!isBusy(error)) throw error
      }
    }
    this.#changesBefore = this.#sql.totalChanges.get()!.n
  }

  /** Whether the transaction has written anything. */
  get hasChanges(): boolean {
    return this.#sql.totalChanges.get()!.n !== this.#changesBefore
  }

  /** Returns whether anything was written. If it throws, nothing was. */
  commit(): boolean {
    const wrote = this.hasChanges
    this.db.exec('COMMIT')
    this.#assertStored()
    return wrote
  }

  /** A commit is acknowledged only if the files can be found under their paths. @throws E_LOG_REPLACED */
  #assertStored(): void {
    const path = this.#files.replacedPath
    if (path !== undefined)
      throw new TidingsError('E_LOG_REPLACED', `"${path}" was removed or replaced while this process had it open`)
    if (this.head === this.#markedHead) return
    this.#markedHead = this.head
    this.#mark.write(this.head)
  }

  /** Whether the open files are still those of the log. */
  get isInPlace(): boolean {
    return this.#files.replacedPath === undefined
  }

  close(): void {
    this.#mark.close()
    this.db.close()
  }

  #setSynchronous(isDurable: boolean): void {
    if (this.#isDurable === isDurable) return
    this.#isDurable = isDurable
    this.db.exec(`PRAGMA synchronous = ${isDurable ? this.#synchronous : 'normal'}`)
  }

  rollback(): void {
    if (this.db.isTransaction) this.db.exec('ROLLBACK')
  }

  /** Whether another connection has written since `markSeen`. */
  get isStale(): boolean {
    return this.#sql.dataVersion.get()!.data_version !== this.#dataVersion
  }

  markSeen(): void {
    this.#dataVersion = this.#sql.dataVersion.get()!.data_version
  }

  newest(): number {
    return this.#sql.newest.get()!.head
  }

  reload(): void {
    this.head = this.newest()
  }

  shardOf(correlation: string): number {
    return shardOf(correlation, this.shards)
  }

  /** Stores an event. If its id is on the log already, its position is negative: that of the first. */
  append({ id, type, target, correlation, json, earlyToken }: EventRow): OfferedEvent {
    const shard = this.shardOf(correlation)
    let pos = this.head + 1
    if (this.#sql.insert.run(pos, id, type, target, correlation, shard, json).changes === 0) pos = -this.positionOf(id)
    else this.head = pos
    return { pos, id, type, target, shard, earlyToken, op: -1, row: 0, json: '' }
  }

  /** 0 if the id is not on the log. */
  positionOf(id: string): number {
    return this.#sql.positionOf.get(id)?.pos ?? 0
  }

  scan(after: number, limit: number): LogRow[] {
    return this.#sql.scan.all(after, this.head, limit)
  }

  /** All events after a position, with their text. */
  tail(after: number): OfferedEvent[] {
    return this.#sql.tail.all(after).map(row => ({ ...row, earlyToken: 0, op: -1, row: 0 }))
  }

  event(pos: number): string {
    return this.#sql.event.get(pos)!.event
  }
}
