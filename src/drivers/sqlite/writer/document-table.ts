import type { DatabaseSync } from 'node:sqlite'
import { sqlFor } from '../../../bus/sql.ts'
import type { WriterOp } from '../protocol.ts'

type Put = Extract<WriterOp, { readonly kind: 'putDocument' }>

/** Small named values. */
export class DocumentTable {
  readonly #put
  readonly #deleteExpired

  constructor(db: DatabaseSync) {
    const sql = sqlFor(db)
    this.#put = sql(`INSERT INTO documents SELECT ?1, ?3 + 1, ?2, ?4
      WHERE ?3 = ifnull((SELECT revision FROM documents WHERE key = ?1 AND (until IS NULL OR until > ?5)), 0)
      ON CONFLICT(key) DO UPDATE SET revision = excluded.revision, value = excluded.value, until = excluded.until`)
    this.#deleteExpired = sql('DELETE FROM documents WHERE until <= ?')
  }

  /** False if the document has another revision. */
  put({ key, value, expect, ttlMs }: Put, now: number): boolean {
    return this.#put.run(key, value, expect, ttlMs === null ? null : now + ttlMs, now).changes !== 0
  }

  deleteExpired(now: number): void {
    this.#deleteExpired.run(now)
  }
}
