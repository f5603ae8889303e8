import type { DatabaseSync } from 'node:sqlite'
import { setTimeout } from 'node:timers/promises'
import type { Bus } from '../../bus/bus.ts'
import { beginning, distanceBetween, unionOf } from '../../bus/cursor.ts'
import { log } from '../../bus/telemetry/log.ts'
import { textOf, TidingsError } from '../../errors.ts'
import { checkLog, indexedUpTo, type OnProgress, readNew } from './catch-up.ts'
import { Index } from './lookup.ts'
import type { QueryIndex } from './open.ts'
import { inMemory, isLocked, isCorrupt, openTables, removeFile } from './schema.ts'

/** Events that are written at a time, so that the event loop is held for a few ms. */
const batchEvents = 256
/** Correlations that are indexed again at a time after a purge. */
const batchCorrelations = 16
/** How often the log is compared with what was indexed: whether it is still the same one, and what was purged. */
const checkIntervalMs = 60_000
const busyRetryMs = 25
/** How long the event loop may be held by another process that writes. */
const lockTimeoutMs = 25
/** How long closing waits for the log. */
const closeTimeoutMs = 1_000

interface LiveIndexOptions {
  readonly file?: string | undefined
  readonly onProgress?: OnProgress | undefined
}

/**
 * The index of a log in a process that goes on. It opens with the first question and stays open, and each question first adds what is new on
 * the log. Several processes may have it open at once.
 */
export class LiveIndex {
  readonly #bus: Bus
  readonly #stop = new AbortController()
  readonly #unsubscribe: () => void
  readonly #onProgress: OnProgress | undefined
  #file: string
  #db: DatabaseSync | undefined
  #checkedAt = -Infinity
  /** The reading at hand, and the one after it, which adds what is published meanwhile. */
  #reading: Promise<void> = Promise.resolve()
  #next: Promise<void> | undefined

  /** `file`: where it is; default: in memory. */
  constructor(bus: Bus, { file = inMemory, onProgress }: LiveIndexOptions = {}) {
    this.#bus = bus
    this.#file = bus.isReadOnly ? inMemory : file
    this.#onProgress = onProgress
    this.#unsubscribe = bus.onEmptied(() => (this.#checkedAt = -Infinity))
  }

  readonly query: QueryIndex = async question => {
    for (let isSecond = false; ; isSecond = true) {
      await this.#refresh()
      try {
        return await question(new Index(this.#db!, this.#bus.partitions))
      } catch (error) {
        if (isSecond || !isCorrupt(error)) throw error
        this.#startOver()
      }
    }
  }

  /** How many events of the log it has not read. */
  async behind(): Promise<number> {
    const from = this.#db ? indexedUpTo(this.#db) : beginning
    return distanceBetween(unionOf(from, await this.#bus.horizon()), await this.#bus.head())
  }

  async close(): Promise<void> {
    this.#stop.abort(new TidingsError('E_BUS_CLOSED', 'the index of the log was closed'))
    this.#unsubscribe()
    const ended = this.#reading
      .catch(() => {})
      .then(() => {
        this.#db?.close()
        this.#db = undefined
      })
    await Promise.race([ended, setTimeout(closeTimeoutMs, undefined, { ref: false })])
  }

  #refresh(): Promise<void> {
    this.#next ??= this.#reading
      .catch(() => {})
      .then(() => {
        this.#reading = this.#next!
        this.#next = undefined
        return this.#read()
      })
    return this.#next
  }

  async #read(): Promise<void> {
    for (;;) {
      this.#stop.signal.throwIfAborted()
      try {
        const db = (this.#db ??= this.#open())
        if (performance.now() - this.#checkedAt > checkIntervalMs) {
          await checkLog(this.#bus, db, batchCorrelations)
          this.#checkedAt = performance.now()
        }
        await readNew(this.#bus, db, {
          batchEvents,
          signal: this.#stop.signal,
          ...(this.#onProgress && { onProgress: this.#onProgress }),
        })
        return this.#stop.signal.throwIfAborted()
      } catch (error) {
        if (isLocked(error)) await setTimeout(busyRetryMs)
        else if (isCorrupt(error)) this.#startOver()
        // A question found it corrupt and closed it.
        else if (this.#db) throw error
      }
    }
  }

  /** Without a file that can be used, the index is built in memory, which reads the whole log. */
  #open(): DatabaseSync {
    try {
      return openTables(this.#file, lockTimeoutMs)
    } catch (error) {
      if (this.#file === inMemory || isLocked(error) || isCorrupt(error)) throw error
      log.warn?.({ file: this.#file }, `the index is built in memory: ${textOf(error)}`)
      this.#file = inMemory
      return openTables(inMemory)
    }
  }

  #startOver(): void {
    this.#db?.close()
    this.#db = undefined
    this.#checkedAt = -Infinity
    removeFile(this.#file)
  }
}
