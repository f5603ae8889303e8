import type { EventSource } from '../../api/source.tsx'
import { openTrace } from '../../api/worker.ts'
import type { TraceLine, TraceTotals } from '../../trace/trace-lines.ts'
import type { CallNews } from '../event/live-text.tsx'
import type { TraceUpdate, WrittenText } from '../../worker/protocol.ts'

export interface TraceSnapshot {
  readonly status: 'loading' | 'open' | 'failed'
  readonly error?: unknown
  /** By number. A new list whenever a line has changed. */
  readonly lines: readonly TraceLine[]
  /** Numbers of lines, from top to bottom. */
  readonly order: Uint32Array
  readonly totals?: TraceTotals
  /** Whether all events that are on the log have been read. */
  readonly isComplete: boolean
}

/** The lines of a trace, which the worker of the page sends. */
export class TraceStore implements CallNews {
  readonly #opened: ReturnType<typeof openTrace>
  readonly #listeners = new Set<() => void>()
  readonly #textListeners = new Set<() => void>()
  readonly #texts = new Map<string, WrittenText>()
  #lines: TraceLine[] = []
  #snapshot: TraceSnapshot = { status: 'loading', lines: [], order: new Uint32Array(), isComplete: false }

  constructor(source: EventSource, correlation: string) {
    this.#opened = openTrace(source.origin, correlation, {
      update: update => this.#update(update),
      texts: texts => this.#write(texts),
      failed: error => this.#change({ status: 'failed', error }),
    })
  }

  subscribe = (listener: () => void): (() => void) => subscribed(this.#listeners, listener)
  snapshot = (): TraceSnapshot => this.#snapshot
  subscribeToTexts = (listener: () => void): (() => void) => subscribed(this.#textListeners, listener)

  /** What a model has written so far for a call that is open. */
  textOf = (call: string): WrittenText | undefined => this.#texts.get(call)

  answerOf = (call: string): string | undefined => this.#lines.find(({ event }) => event === call)?.answer

  find(event: string): Promise<number | undefined> {
    return this.#opened.find(event)
  }

  close(): void {
    this.#opened.close()
  }

  #update({ lines, order, totals, isPartial, isComplete }: TraceUpdate): void {
    for (const line of lines) {
      this.#lines[line.n] = line
      if (line.to !== Infinity) this.#texts.delete(line.event)
    }
    // The first lines are shown while the others arrive; the list of a later state is shown when it is complete.
    if (isPartial && order === undefined) return
    this.#lines = this.#lines.slice()
    this.#change({ status: 'open', lines: this.#lines, totals, isComplete, ...(order && { order }) })
  }

  #write(texts: readonly WrittenText[]): void {
    for (const text of texts) this.#texts.set(text.call, text)
    for (const listener of this.#textListeners) listener()
  }

  #change(change: Partial<TraceSnapshot>): void {
    this.#snapshot = { ...this.#snapshot, ...change }
    for (const listener of this.#listeners) listener()
  }
}

function subscribed(listeners: Set<() => void>, listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}
