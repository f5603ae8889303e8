import { setTimeout } from 'node:timers/promises'
import type { Bus } from '../bus/bus.ts'
import { advance, beginning, isCovered } from '../bus/cursor.ts'
import { backoff } from '../bus/delivery.ts'
import type { Cursor, LogEntry } from '../bus/driver.ts'
import { keepFollowing } from '../bus/keep-following.ts'
import { TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import type { Filter } from '../pattern.ts'
import { openTexts, type OpenTexts, type TextReader } from '../tasks/open-texts.ts'

/*
 * What happens in correlations, live. One subscription for each process feeds all readers:
 *
 *     read the correlation from the log ─▶ the queue of new events ─▶ …    a full queue is dropped, and the log read on from there
 *
 * Text in flight does not wait in the queue, but the call does, once: a slow reader gets larger pieces.
 */

/** An event of the log, or a signal, which has no position. */
export type FeedItem = LogEntry | { readonly event: CloudEvent; readonly position?: undefined }

/** Events that may wait for one reader. */
const maxQueued = 1_000
const progress: Filter = [{ types: ['tool.progress'] }]

interface Reader {
  readonly correlation: string
  queue: (FeedItem | { readonly grown: string })[]
  /** Calls in the queue, whose text has grown. */
  readonly grown: Set<string>
  readonly texts: TextReader
  /** The queue lacks events that are on the log. */
  isBehind: boolean
  onItem: (() => void) | undefined
}

export class CorrelationFeed {
  readonly #bus: Bus
  readonly #texts: OpenTexts
  readonly #readers = new Map<string, Set<Reader>>()
  readonly #closed = new AbortController()
  #following: { readonly started: Promise<void>; readonly stop: () => void } | undefined

  constructor(bus: Bus) {
    this.#bus = bus
    this.#texts = openTexts(bus)
  }

  /**
   * The events of a correlation from its beginning, the progress of its tools from now on, and the text of its open model calls from the
   * beginning of each. Waits while the log cannot be read. Ends when the reader stops, or `signal` aborts, also while it waits for an item.
   * @throws E_BUS_CLOSED
   */
  async *read(correlation: string, signal?: AbortSignal): AsyncGenerator<FeedItem> {
    const texts = this.#texts.read(call => this.#grow(reader, call))
    const reader: Reader = { correlation, queue: [], grown: new Set(), texts, isBehind: true, onItem: undefined }
    this.#add(reader)
    let cursor: Cursor = beginning
    let failures = 0
    const wakeUp = () => reader.onItem?.()
    signal?.addEventListener('abort', wakeUp)
    try {
      for (;;) {
        if (reader.isBehind) {
          await this.#following!.started
          reader.isBehind = false
          try {
            for await (const entry of this.#bus.read({ correlation, after: cursor })) {
              yield entry
              cursor = advance(cursor, entry.position)
              failures = 0
            }
          } catch (error) {
            if (!(error instanceof TidingsError && error.retryable)) throw error
            reader.isBehind = true
            await this.#retryDelay(++failures, signal)
          }
        }
        if (signal?.aborted) return
        if (reader.isBehind) continue
        const item = reader.queue.shift()
        if (!item && this.#closed.signal.aborted) throw closed()
        if (!item) await new Promise<void>(resolve => (reader.onItem = resolve))
        else if ('grown' in item) {
          reader.grown.delete(item.grown)
          for (const event of texts.take(item.grown)) yield { event }
        } else if (!item.position) yield item
        else if (!isCovered(cursor, item.position)) {
          yield item
          cursor = advance(cursor, item.position)
        }
      }
    } finally {
      signal?.removeEventListener('abort', wakeUp)
      this.#remove(reader)
    }
  }

  /** @throws E_BUS_CLOSED */
  async #retryDelay(failures: number, signal: AbortSignal | undefined): Promise<void> {
    const left = AbortSignal.any([this.#closed.signal, ...(signal ? [signal] : [])])
    await setTimeout(backoff(failures), undefined, { signal: left, ref: false }).catch(() => {})
    if (this.#closed.signal.aborted) throw closed()
  }

  close() {
    this.#closed.abort()
    this.#following?.stop()
    for (const readers of this.#readers.values()) for (const reader of readers) reader.onItem?.()
  }

  #add(reader: Reader) {
    const readers = this.#readers.get(reader.correlation) ?? new Set()
    this.#readers.set(reader.correlation, readers.add(reader))
    this.#following ??= this.#follow()
    reader.texts.follow({ correlation: reader.correlation })
  }

  #remove(reader: Reader) {
    reader.texts.close()
    const readers = this.#readers.get(reader.correlation)!
    readers.delete(reader)
    if (readers.size === 0) this.#readers.delete(reader.correlation)
    if (this.#readers.size > 0) return
    this.#following?.stop()
    this.#following = undefined
  }

  #follow() {
    const abort = new AbortController()
    const unsubscribe = this.#bus.onSignal(progress, event => this.#deliver({ event }))
    const started = Promise.withResolvers<void>()
    void this.#followLog(abort.signal, started.resolve)
    const stop = () => {
      abort.abort()
      unsubscribe()
    }
    return { started: started.promise, stop }
  }

  async #followLog(signal: AbortSignal, onStarted: () => void): Promise<void> {
    let cursor: Cursor | undefined
    await keepFollowing(this.#bus, {
      cursor: async () => {
        cursor ??= await this.#bus.head()
        onStarted()
        return cursor
      },
      signal,
      onEntry: entry => {
        this.#deliver(entry)
        cursor = entry.cursor
      },
    })
    onStarted()
  }

  #grow(reader: Reader, call: string) {
    if (reader.grown.has(call) || reader.queue.length >= maxQueued) return
    reader.grown.add(call)
    reader.queue.push({ grown: call })
    wake(reader)
  }

  #deliver(item: FeedItem) {
    if (item.position && item.event.call !== undefined) this.#texts.end(item.event.call)
    for (const reader of this.#readers.get(item.event.correlationid) ?? []) {
      if (reader.queue.length < maxQueued) reader.queue.push(item)
      else if (item.position) {
        reader.queue = []
        reader.grown.clear()
        reader.isBehind = true
      }
      wake(reader)
    }
  }
}

function wake(reader: Reader) {
  reader.onItem?.()
  reader.onItem = undefined
}

const closed = () => new TidingsError('E_BUS_CLOSED', 'the app stopped; the task goes on')
