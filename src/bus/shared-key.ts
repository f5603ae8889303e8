import { randomBytes } from 'node:crypto'
import { TidingsError } from '../errors.ts'
import type { Bus } from './bus.ts'

/**
 * A random key that all processes of a log share: a document beside the log, created by the first process that needs it. No event contains
 * it, so neither traces nor exports do.
 */
export class SharedKey {
  readonly #bus: Bus
  readonly #document: string
  #key: Promise<string> | undefined

  constructor(bus: Bus, document: string) {
    this.#bus = bus
    this.#document = document
    // A log that was created again has another key.
    bus.onEmptied(() => (this.#key = undefined))
  }

  /** 64 hex digits. @throws E_LOG_UNAVAILABLE */
  get(): Promise<string> {
    return (this.#key ??= this.#read().catch(error => {
      this.#key = undefined
      throw error
    }))
  }

  async #read(): Promise<string> {
    const { documents } = this.#bus
    const found = await documents.readText(this.#document)
    if (found !== undefined) return found
    await documents.createText(this.#document, randomBytes(32).toString('hex'))
    // If several processes create it at the same time, the key of the first one is stored.
    const stored = await documents.readText(this.#document)
    if (stored !== undefined) return stored
    throw new TidingsError('E_LOG_UNAVAILABLE', `document "${this.#document}" was written but cannot be read`, {
      retryable: true,
      next: 'Retry. If this continues, check the replicas of the broker.',
    })
  }
}
