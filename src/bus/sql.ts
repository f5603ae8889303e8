import type { DatabaseSync } from 'node:sqlite'

export type SqlValue = string | number | null

/** A prepared statement with the shape of its rows. */
export interface SqlStatement<R> {
  get(...values: SqlValue[]): R | undefined
  all(...values: SqlValue[]): R[]
  iterate(...values: SqlValue[]): Iterable<R>
  /** Values in order, or an object with a field for each `$name`. */
  run(...values: SqlValue[] | [row: object]): { changes: number | bigint }
}

export const prepareSql = <R>(db: DatabaseSync, sql: string) => db.prepare(sql) as unknown as SqlStatement<R>

/** Prepares statements for one connection. */
export const sqlFor =
  (db: DatabaseSync) =>
  <R>(sql: string): SqlStatement<R> =>
    prepareSql<R>(db, sql)

/** Whether another connection has the lock that a statement needs. */
export function isBusy(error: unknown): boolean {
  const code = error instanceof Error && 'errcode' in error ? Number(error.errcode) & 0xff : 0
  return code === 5
}
