import { isFailureType } from '../../../../src/trace/outcome.ts'
import { get } from '../../api/connection.ts'
import { follow } from '../../api/streams.ts'
import type { EventPage, StoredRow } from '../../api/shapes.ts'

/** Which events the server sends. */
export interface LiveFilter {
  /** Types or patterns, separated by blanks. */
  readonly type?: string
  readonly user?: string
  readonly source?: string
  readonly correlation?: string
  readonly text?: string
  readonly failed?: string
  /** Only calls to this tool, model or agent that have no answer. */
  readonly unanswered?: string
  /** RFC 3339, or a duration before now. */
  readonly since?: string
}

export interface LiveSnapshot {
  readonly rows: readonly StoredRow[]
  /** Events that arrived since the view was opened, also those that are no longer kept. */
  readonly arrived: number
  /** Whether older events can be loaded. */
  readonly hasOlder: boolean
  readonly status: 'loading' | 'live' | 'failed'
  readonly error?: unknown
  /** How many rows were added or removed at the beginning, since the view was opened: what is in view stays there. */
  readonly shift: number
}

const pageSize = 200
/** Rows kept in memory; the oldest are dropped while the view follows. */
const maxRows = 10_000
const flushMs = 80

/** The newest events, oldest first, and everything that arrives after them. */
export class LiveRows {
  readonly #filter: LiveFilter
  readonly #listeners = new Set<() => void>()
  readonly #stop = new AbortController()
  #arriving: StoredRow[] = []
  #timer: ReturnType<typeof setTimeout> | undefined
  #next: string | undefined
  #snapshot: LiveSnapshot = { rows: [], arrived: 0, hasOlder: false, status: 'loading', shift: 0 }

  constructor(filter: LiveFilter) {
    this.#filter = filter
    void this.#run()
  }

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  snapshot = (): LiveSnapshot => this.#snapshot

  get isClosed(): boolean {
    return this.#stop.signal.aborted
  }

  close(): void {
    this.#stop.abort()
    clearTimeout(this.#timer)
  }

  async loadOlder(): Promise<void> {
    const before = this.#next
    if (before === undefined) return
    this.#next = undefined
    const page = await this.#page(before).catch(() => undefined)
    // Without an answer, the next scroll asks again.
    if (!page) return void (this.#next ??= before)
    const { events, next } = page
    this.#next = next
    const { rows, shift } = this.#snapshot
    this.#change({
      rows: [...events.toReversed(), ...rows],
      hasOlder: next !== undefined,
      shift: shift + events.length,
    })
  }

  async #run(): Promise<void> {
    try {
      const { events, next, head } = await this.#page()
      this.#next = next
      this.#change({ rows: events.toReversed(), hasOlder: next !== undefined, status: 'live' })
      const { type, user, correlation } = this.#filter
      const filter = {
        ...(type && { type: typesIn(type) }),
        ...(user && { user }),
        ...(correlation && { correlation }),
      }
      for await (const { event, cursor } of follow({ ...filter, after: head, rows: '1', signal: this.#stop.signal }))
        if (cursor !== undefined) this.#arrive({ ...event, cursor } as StoredRow)
    } catch (error) {
      if (!this.#stop.signal.aborted) this.#change({ status: 'failed', error })
    }
  }

  #page(before?: string): Promise<EventPage> {
    const { type, ...filter } = this.#filter
    const query = { ...filter, ...(type && { type: typesIn(type) }), limit: pageSize, before }
    return get<EventPage>('events', query, this.#stop.signal)
  }

  #arrive(row: StoredRow): void {
    if (!this.#matches(row)) return
    this.#arriving.push(row)
    this.#timer ??= setTimeout(() => this.#flush(), flushMs)
  }

  /** What streams cannot filter. */
  #matches({ source, summary, type, target }: StoredRow): boolean {
    const { source: wantedSource, text, failed, unanswered } = this.#filter
    return (
      (!wantedSource || source === wantedSource) &&
      (!failed || isFailureType(type)) &&
      // A call that arrives has no answer yet.
      (!unanswered || (target === unanswered && type.endsWith('.invoke'))) &&
      (!text ||
        text
          .toLowerCase()
          .split(/\s+/)
          .every(word => summary.toLowerCase().includes(word.replace(/\*$/, ''))))
    )
  }

  #flush(): void {
    this.#timer = undefined
    const arriving = this.#arriving
    this.#arriving = []
    const { rows, arrived, shift, hasOlder } = this.#snapshot
    const all = rows.concat(arriving)
    const dropped = Math.max(0, all.length - maxRows)
    // What was dropped here is still on the log: paging begins at the oldest row that is kept.
    if (dropped > 0) this.#next = all[dropped]!.cursor
    this.#change({
      rows: dropped > 0 ? all.slice(dropped) : all,
      arrived: arrived + arriving.length,
      shift: shift - dropped,
      hasOlder: hasOlder || dropped > 0,
    })
  }

  #change(change: Partial<LiveSnapshot>): void {
    this.#snapshot = { ...this.#snapshot, ...change }
    for (const listener of this.#listeners) listener()
  }
}

const typesIn = (text: string): string[] => text.split(/[\s,]+/).filter(Boolean)
