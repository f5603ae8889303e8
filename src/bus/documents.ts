import { setTimeout as delay } from 'node:timers/promises'
import { TidingsError } from '../errors.ts'
import type { DocumentStore } from './driver.ts'
import type { Redactor } from './redact.ts'

const maxAttempts = 100
const maxBackoffMs = 50

export interface DocumentOptions {
  /**
   * The document contains names, ids and positions, which the rules of an app must not change: redacts only built-in secret formats.
   */
  readonly namesOnly?: boolean
  /** After that the document no longer exists. Default: it stays. */
  readonly ttlMs?: number
}

type Change<T> = (current: T | undefined) => T | undefined | Promise<T | undefined>

interface DocumentUpdate<T> {
  readonly value: T | undefined
  readonly isChanged: boolean
}

/** Small named values beside the log, stored as JSON or text, redacted before they are stored. */
export class Documents {
  readonly #store: DocumentStore
  readonly #redactor: Redactor
  /** The last update of a document that this process has begun. The next one waits for it, so that only processes compete. */
  readonly #updating = new Map<string, Promise<unknown>>()

  constructor(store: DocumentStore, redactor: Redactor) {
    this.#store = store
    this.#redactor = redactor
  }

  async readText(key: string): Promise<string | undefined> {
    return (await this.#store.getDocument(key))?.value
  }

  async read<T>(key: string): Promise<T | undefined> {
    return valueIn<T>(await this.#store.getDocument(key))
  }

  /**
   * Stores a text under a key that has no document yet. False if it has one, which stays as it is. `ttlMs`: after that the document no longer
   * exists; default: it stays.
   */
  async createText(key: string, text: string, ttlMs?: number): Promise<boolean> {
    return (await this.#store.putDocument(key, this.#redactor.knownSecrets(text), 0, ttlMs)) > 0
  }

  /** The same for a JSON value. */
  async create(key: string, value: unknown): Promise<boolean> {
    return (await this.#store.putDocument(key, this.#encode(value), 0)) > 0
  }

  /**
   * Replaces a document by what `change` makes of it, and calls `change` again if another process was faster. `current` is
   * undefined if there is no document. If `change` returns undefined or `current` itself, nothing is stored. `change` must not update the same
   * document. @throws E_LOG_UNAVAILABLE
   */
  async update<T>(key: string, change: Change<T>, options?: DocumentOptions): Promise<DocumentUpdate<T>> {
    const before = this.#updating.get(key)
    const updated = (async () => {
      await before?.catch(() => {})
      return this.#update(key, change, options)
    })()
    this.#updating.set(key, updated)
    try {
      return await updated
    } finally {
      if (this.#updating.get(key) === updated) this.#updating.delete(key)
    }
  }

  async #update<T>(key: string, change: Change<T>, options?: DocumentOptions): Promise<DocumentUpdate<T>> {
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      const found = await this.#store.getDocument(key)
      const current = valueIn<T>(found)
      const next = await change(current)
      if (next === undefined || next === current) return { value: current, isChanged: false }
      const json = this.#encode(next, options)
      if ((await this.#store.putDocument(key, json, found?.revision ?? 0, options?.ttlMs)) > 0)
        return { value: JSON.parse(json) as T, isChanged: true }
      await delay(Math.random() * Math.min(attempt, maxBackoffMs))
    }
    throw new TidingsError(
      'E_LOG_UNAVAILABLE',
      `document "${key}" could not be changed: other processes changed it first, ${maxAttempts} times in a row`,
      {
        retryable: true,
        next: 'Retry. If this continues, fewer processes should change this document at the same time.',
      },
    )
  }

  /** Stores a text, whatever the document holds now. */
  async replaceText(key: string, text: string): Promise<void> {
    while (!(await this.writeText(key, text, (await this.#store.getDocument(key))?.revision ?? 0)));
  }

  /** For a writer that caches the document: with the revision that the next write expects, 0 if there is no document. */
  async readRevision(key: string): Promise<{ readonly text?: string; readonly revision: number }> {
    const found = await this.#store.getDocument(key)
    return found ? { text: found.value, revision: found.revision } : { revision: 0 }
  }

  /** Stores a text if the document has this revision. Returns the new revision; 0 if another process was faster. */
  writeText(key: string, text: string, revision: number): Promise<number> {
    return this.#store.putDocument(key, this.#redactor.knownSecrets(text), revision)
  }

  #encode(value: unknown, { namesOnly = false }: DocumentOptions = {}): string {
    const json = JSON.stringify(value)
    return namesOnly ? this.#redactor.knownSecrets(json) : this.#redactor.json(json)
  }
}

const valueIn = <T>(found: { value: string } | undefined) => found && (JSON.parse(found.value) as T)
