import { randomBytes } from 'node:crypto'
import type { Bus } from '../bus/bus.ts'
import { TidingsError } from '../errors.ts'

const document = 'approval/key'

/**
 * The key of approval hashes, shared by all workers of a log: a document beside the log, created by the first worker that needs it.
 * No event contains it, so neither traces nor exports do.
 */
export class ApprovalKey {
  readonly #bus: Bus
  #key: Promise<string> | undefined

  constructor(bus: Bus) {
    this.#bus = bus
    // A log that was created again has another key.
    bus.onEmptied(() => (this.#key = undefined))
  }

  get(): Promise<string> {
    return (this.#key ??= this.#read().catch(error => {
      this.#key = undefined
      throw error
    }))
  }

  async #read(): Promise<string> {
    const { documents } = this.#bus
    const found = await documents.readText(document)
    if (found !== undefined) return found
    await documents.createText(document, randomBytes(32).toString('hex'))
    // If several workers create it at the same time, the key of the first one is stored.
    const stored = await documents.readText(document)
    if (stored !== undefined) return stored
    throw new TidingsError('E_LOG_UNAVAILABLE', `document "${document}" was written but cannot be read`, {
      retryable: true,
      next: 'The approval is retried. If this continues, check the replicas of the broker.',
    })
  }
}
