import type { BlobStore, EncodedEvent, TransferRecord } from '../driver.ts'
import { TidingsError } from '../../errors.ts'

const reference = /sha256-[0-9a-f]{64}/g

/** Copies the blobs that records name, also those that such a blob names. A name whose blob was purged stays a name. */
export class BlobCopy {
  readonly #from: BlobStore | undefined
  readonly #to: BlobStore | undefined
  readonly #tenants = new Set<string>()
  /** Tenant and reference of each that was looked at. */
  readonly #seen = new Set<string>()
  copied = 0

  constructor(from: BlobStore | undefined, to: BlobStore | undefined) {
    this.#from = from
    this.#to = to
  }

  async copyFor(record: TransferRecord): Promise<void> {
    if (!this.#from) return
    if (record.kind === 'document') for (const tenant of this.#tenants) await this.#copyIn(tenant, record.value)
    else if ('entry' in record) {
      const snapshot = record.kind === 'turn' ? (record.snapshot ?? '') : ''
      const emitted = record.kind === 'turn' ? record.events : []
      await this.#copyIn(record.entry.event.tenant, snapshot)
      for (const entry of [record.entry, ...emitted]) await this.#copyOf(entry)
    }
  }

  #copyOf({ event, json }: EncodedEvent): Promise<void> {
    if (event.tenant) this.#tenants.add(event.tenant)
    return this.#copyIn(event.tenant, json)
  }

  /** `tenant` is missing in a text that is not an event. */
  async #copyIn(tenant: string | undefined, text: string): Promise<void> {
    if (!tenant) return
    for (const [ref] of text.matchAll(reference)) await this.#copy(tenant, ref)
  }

  async #copy(tenant: string, ref: string): Promise<void> {
    const key = `${ref} ${tenant}`
    if (this.#seen.has(key)) return
    this.#seen.add(key)
    const bytes = await this.#from!.get(tenant, ref)
    if (!bytes) return
    if (!this.#to)
      throw new TidingsError('E_COPY_REFUSED', `the target cannot keep large data, and the source has blob ${ref}`)
    await this.#copyIn(tenant, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1'))
    await this.#to.put(tenant, bytes)
    this.copied++
  }
}
