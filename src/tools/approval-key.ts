import { randomBytes } from 'node:crypto'
import type { Bus } from '../bus/bus.ts'
import { TidingsError } from '../errors.ts'

const document = 'approval/key'

/**
 * The key of the hashes of approvals, which all workers of a log share: a document beside the log, made by whoever needs it
 * first. It is in no event, and so in no trace and no export.
 */
export class ApprovalKey {
  readonly #bus: Bus
  #key: Promise<string> | undefined

  constructor(bus: Bus) {
    this.#bus = bus
    // A log that was made anew has another key.
    bus.driver.onEmptied?.(() => (this.#key = undefined))
  }

  get(): Promise<string> {
    return (this.#key ??= this.#read().catch(error => {
      this.#key = undefined
      throw error
    }))
  }

  async #read(): Promise<string> {
    const { driver } = this.#bus
    const found = await driver.getDocument(document)
    if (found) return found.value
    await driver.putDocument(document, randomBytes(32).toString('hex'), 0)
    // Of several workers that make one at once, the first one's holds.
    const stored = await driver.getDocument(document)
    if (stored) return stored.value
    throw new TidingsError('E_LOG_UNAVAILABLE', `the document ${document} cannot be read`, { retryable: true })
  }
}
