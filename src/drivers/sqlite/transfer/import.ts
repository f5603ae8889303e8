import { correlationOf, turnId } from '../../../bus/ids.ts'
import { sqlFor } from '../../../bus/sql.ts'
import type { EncodedEvent, TransferRecord, TurnRecord } from '../../../bus/driver.ts'
import { describeThrown } from '../../../thrown.ts'
import { TidingsError } from '../../../errors.ts'
import { toRow } from '../consumer-registry.ts'
import type { WriterOptions } from '../protocol.ts'
import { yieldToEventLoop } from '../reader.ts'
import { LogStore } from '../writer/log-store.ts'
import { GroupImport } from './import-groups.ts'

const recordsPerTransaction = 1_000

/** Stores records, many in one transaction. @throws E_LOG_UNAVAILABLE, for example if the disk is full */
export async function importSqliteLog(
  options: WriterOptions,
  records: AsyncIterable<TransferRecord>,
  above: number,
): Promise<void> {
  const store = new LogStore(options)
  try {
    const log = new LogImport(store)
    const groups = new GroupImport(store)
    store.begin(true)
    log.startAbove(above)
    groups.clear()
    let left = recordsPerTransaction
    for await (const record of records) {
      if (!log.add(record)) groups.add(record)
      if (--left > 0) continue
      left = recordsPerTransaction
      store.commit()
      await yieldToEventLoop()
      store.begin(true)
    }
    groups.finish()
    store.commit()
  } catch (error) {
    // Others are those of the records.
    if (!(error instanceof Error && 'errcode' in error)) throw error
    const problem = `the log in "${options.home}" could not be written: ${describeThrown(error)}`
    throw new TidingsError('E_LOG_UNAVAILABLE', problem, { cause: error })
  } finally {
    store.rollback()
    store.close()
  }
}

function statementsFor({ db }: LogStore) {
  const sql = sqlFor(db)
  return {
    setHead: sql(`UPDATE meta SET value = max(value, ?) WHERE key = 'head'`),
    setHorizon: sql(
      `INSERT INTO meta VALUES ('horizon', ?) ON CONFLICT DO UPDATE SET value = max(value, excluded.value)`,
    ),
    setLive: sql('INSERT OR REPLACE INTO live VALUES (?, ?, ?, ?, ?)'),
    firstTurn: sql<{ pos: number }>(
      `SELECT min(pos) AS pos FROM log WHERE id >= ?1 || ':' AND id < ?1 || ';' AND type = 'task.turn'`,
    ),
    snapshot: sql<{ version: number }>('SELECT version FROM snapshots WHERE task = ?'),
    setSnapshot: sql('INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?)'),
    deleteLive: sql('DELETE FROM live WHERE task = ?'),
    deleteSnapshot: sql('DELETE FROM snapshots WHERE task = ?'),
    seal: sql('INSERT OR REPLACE INTO seals VALUES (?, ?)'),
    setDocument: sql('INSERT OR REPLACE INTO documents VALUES (?, 1, ?, ?)'),
  }
}

/** Events, tasks and documents. */
class LogImport {
  readonly #store: LogStore
  readonly #sql: ReturnType<typeof statementsFor>

  constructor(store: LogStore) {
    this.#store = store
    this.#sql = statementsFor(store)
  }

  /** On a log that has events already, it did so before. */
  startAbove(above: number): void {
    if (this.#store.head >= above) return
    this.#sql.setHead.run(above)
    this.#sql.setHorizon.run(above)
    this.#store.reload()
  }

  /** False for the records of groups. */
  add(record: TransferRecord): boolean {
    switch (record.kind) {
      case 'event':
        this.#append(record.entry)
        return true
      case 'turn':
        this.#addTurn(record)
        return true
      case 'ended':
        this.#sql.seal.run(record.task, Date.now())
        return true
      case 'claim':
        // The event itself is the claim.
        return true
      case 'document':
        this.#sql.setDocument.run(record.key, record.value, record.expiresAt ?? null)
        return true
      case 'group':
      case 'unsettled':
      case 'deferred':
        return false
    }
  }

  #addTurn({ task, version, entry, events, group, state, snapshot }: TurnRecord): void {
    this.#append(entry)
    for (const emitted of events) this.#append(emitted)
    if (snapshot !== undefined) this.#sql.setSnapshot.run(task, version, snapshot)
    if (state === 'ended') {
      this.#sql.deleteLive.run(task)
      this.#sql.deleteSnapshot.run(task)
    } else if (state && group !== undefined) {
      const shard = this.#store.shardOf(correlationOf(task))
      this.#sql.setLive.run(task, group, shard, this.#oldestNeeded(task), state.wake)
      // When it has ended, this keeps it from starting again.
      if (this.#store.positionOf(turnId(task, 1)) === 0) this.#sql.seal.run(task, Date.now())
    }
  }

  /** The position from which the log is kept for a task: that of its snapshot, else of its first turn. */
  #oldestNeeded(task: string): number {
    const snapshot = this.#sql.snapshot.get(task)
    return snapshot ? this.#store.positionOf(turnId(task, snapshot.version)) : this.#sql.firstTurn.get(task)!.pos
  }

  #append(entry: EncodedEvent): void {
    this.#store.append(toRow(entry))
  }
}
