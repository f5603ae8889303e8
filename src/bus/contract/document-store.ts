/**
 * Small named documents outside the log: pauses, definitions, places of triggers.
 *
 * - A key is any text; keys that differ name different documents.
 * - `putDocument` is a compare-and-set on the revision, fenced over all members: of two writers that saw the same revision, one wins.
 * - A document that was written with `ttlMs` exists at least that long, and then no longer: its next writer expects revision 0.
 */
export interface DocumentStore {
  getDocument(key: string): Promise<{ revision: number; value: string } | undefined>
  /** `expect`: the revision that the caller saw, 0 for none. Returns the new revision, or 0 if another writer was faster. */
  putDocument(key: string, value: string, expect: number, ttlMs?: number): Promise<number>
}
