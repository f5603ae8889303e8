import { DatabaseSync } from 'node:sqlite'
import { shardOf } from '../../../bus/ids.ts'
import { FailingCommits } from '../faults.ts'
import { TidingsError } from '../../../errors.ts'
import { FilesInPlace } from '../in-place.ts'
import { Mark } from '../mark.ts'
import { isBusy, logFile, newestPosition, prepare, walPages } from '../schema.ts'
import type { Rows, WriterOptions } from '../protocol.ts'

/** An event on its way to those who want it: just stored by op `op` as its row `index`, or read back as `json`. */
export interface Row {
  pos: number
  id: string
  type: string
  target: string | null
  shard: number
  /** Ticket of the shard by which a consumer has it already, 0 for none. */
  early: number
  op: number
  index: number
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

/** The writing connection: transactions, appending, scanning. */
export class Store {
  readonly db: DatabaseSync
  readonly shards: number
  head = 0
  readonly #failing: FailingCommits | null
  readonly #synchronous: WriterOptions['synchronous']
  readonly #files: FilesInPlace
  readonly #mark: Mark
  /** The position that the mark says. */
  #marked = -1
  #durable = true
  #changes = 0
  #dataVersion = 0

  constructor(options: WriterOptions) {
    this.db = new DatabaseSync(logFile(options.home), { timeout: 10_000 })
    this.db.exec(`PRAGMA synchronous = ${options.synchronous}; PRAGMA wal_autocheckpoint = ${walPages};
      PRAGMA cache_size = -65536; PRAGMA temp_store = MEMORY`)
    this.shards = options.shards
    this.#synchronous = options.synchronous
    this.#failing = options.faults.commits && new FailingCommits(options.faults.commits)
    this.#insert = prepare(this.db, 'INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT(id) DO NOTHING')
    this.#find = prepare(this.db, 'SELECT pos FROM log WHERE id = ?')
    this.#forget = prepare(this.db, 'DELETE FROM log WHERE id = ?')
    this.#scan = prepare(this.db, `SELECT ${rowColumns} FROM log WHERE pos > ? AND pos <= ? ORDER BY pos LIMIT ?`)
    this.#tail = prepare(this.db, `SELECT ${rowColumns}, event AS json FROM log WHERE pos > ? ORDER BY pos`)
    this.#event = prepare(this.db, 'SELECT event FROM log WHERE pos = ?')
    this.#total = prepare(this.db, 'SELECT total_changes() AS n')
    this.#version = prepare(this.db, 'PRAGMA data_version')
    this.#newest = prepare(this.db, newestPosition)
    this.reload()
    this.#files = new FilesInPlace(options.home)
    this.#mark = new Mark(options.home, options.log)
    this.#mark.write(this.head)
  }

  readonly #insert
  readonly #find
  readonly #forget
  readonly #scan
  readonly #tail
  readonly #event
  readonly #total
  readonly #version
  readonly #newest

  /**
   * Waits as long as another process writes: a busy log is not a failed one. A transaction that nobody was promised
   * anything of, since it only claims and beats, need not be durable: with the power its members are gone, too.
   */
  begin(durable: boolean): void {
    this.#sync(durable)
    for (;;) {
      try {
        this.db.exec('BEGIN IMMEDIATE')
        break
      } catch (error) {
        if (!isBusy(error)) throw error
      }
    }
    this.#changes = this.#totalChanges()
  }

  /** Whether anything was written. When it throws, nothing was. */
  commit(): boolean {
    const wrote = this.#totalChanges() !== this.#changes
    if (wrote) this.#failing?.strike()
    this.db.exec('COMMIT')
    this.#confirm()
    return wrote
  }

  /** What was committed is acknowledged only if it can be found again. @throws E_LOG_REPLACED */
  #confirm(): void {
    const { lost } = this.#files
    if (lost !== undefined)
      throw new TidingsError('E_LOG_REPLACED', `${lost} was removed or replaced while this process had it open`)
    if (this.head === this.#marked) return
    this.#marked = this.head
    this.#mark.write(this.head)
  }

  /** Whether the files that are open are still those of the log. */
  get isInPlace(): boolean {
    return this.#files.lost === undefined
  }

  close(): void {
    this.#mark.close()
    this.db.close()
  }

  #sync(durable: boolean): void {
    if (this.#durable === durable) return
    this.#durable = durable
    this.db.exec(`PRAGMA synchronous = ${durable ? this.#synchronous : 'normal'}`)
  }

  rollback(): void {
    if (this.db.isTransaction) this.db.exec('ROLLBACK')
  }

  /** Whether another connection wrote since `see`. */
  get isStale(): boolean {
    return this.#othersVersion() !== this.#dataVersion
  }

  see(): void {
    this.#dataVersion = this.#othersVersion()
  }

  newest(): number {
    return (this.#newest.get() as { head: number }).head
  }

  reload(): void {
    this.head = this.newest()
  }

  shardOf(correlation: string): number {
    return shardOf(correlation, this.shards)
  }

  /** Stores the entry at `i`. Its position is negative, that of the first, when the id is on the log already. */
  append(rows: Rows, i: number): Row {
    const id = rows[i] as string
    const type = rows[i + 1] as string
    const target = rows[i + 2] as string | null
    const correlation = rows[i + 3] as string
    const shard = this.shardOf(correlation)
    let pos = this.head + 1
    if (this.#insert.run(pos, id, type, target, correlation, shard, rows[i + 4] as string).changes === 0)
      pos = -this.find(id)
    else this.head = pos
    return { pos, id, type, target, shard, early: rows[i + 5] as number, op: -1, index: 0, json: '' }
  }

  /** Position of an id, 0 when it is not there. */
  find(id: string): number {
    return (this.#find.get(id) as { pos: number } | undefined)?.pos ?? 0
  }

  /** Fault injection: what is appended next under this id replaces it. */
  forget(id: string): void {
    this.#forget.run(id)
  }

  scan(after: number, limit: number): LogRow[] {
    return this.#scan.all(after, this.head, limit) as unknown as LogRow[]
  }

  /** Rows with their text, from `after` on. */
  tail(after: number): Row[] {
    const rows = this.#tail.all(after) as unknown as (LogRow & { json: string })[]
    return rows.map(row => ({ ...row, early: 0, op: -1, index: 0 }))
  }

  event(pos: number): string {
    return (this.#event.get(pos) as { event: string }).event
  }

  #othersVersion(): number {
    return (this.#version.get() as { data_version: number }).data_version
  }

  #totalChanges(): number {
    return (this.#total.get() as { n: number }).n
  }
}
