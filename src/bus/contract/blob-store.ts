/**
 * Bytes too large for an event, stored by content: the reference is `sha256-` and the hex digest.
 *
 * - A blob is durable when `put` resolves, and visible to every member.
 * - A blob belongs to its tenant: another tenant cannot read it by its reference.
 * - Where it belongs to a driver, `purge` keeps every blob that an event on the log names.
 */
export interface BlobStore {
  put(tenant: string, bytes: Uint8Array): Promise<string>
  /** Undefined if there is no such blob, or if `ref` is not a reference. */
  get(tenant: string, ref: string): Promise<Uint8Array | undefined>
}
