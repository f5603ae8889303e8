import type { ErrorData } from '../../../src/errors.ts'
import type { EventDetails, EventPage, Row } from '../api/shapes.ts'
import type { TraceLine, TraceTotals } from '../trace/trace-lines.ts'

/* What the page and its worker say to each other. The worker reads, parses and builds what may be large. */

/** Where events come from: the gateway, or the slice that the worker has opened. */
export type Origin = { readonly url: string; readonly token?: string } | 'slice'

/** Filters of a list of events; texts as in a URL. */
export interface EventFilter {
  readonly type?: string
  readonly source?: string
  readonly correlation?: string
  readonly text?: string
  readonly failed?: string
}

export interface SliceSummary {
  readonly name: string
  readonly bytes: number
  readonly events: number
  readonly documents: number
  readonly correlations: number
  /** Times of the first and the last event, ms since the epoch. */
  readonly from?: number
  readonly to?: number
}

/** The functions of the worker, by name. */
export interface WorkerCalls {
  openSlice(file: File): SliceSummary
  events(filter: EventFilter, page: { before?: string; limit: number }): EventPage
  correlations(): readonly CorrelationRow[]
  event(id: string): EventDetails
  /** The whole data of an event, as JSON. */
  data(id: string): string
  why(id: string): readonly unknown[]
  effects(origin: Origin, event: { readonly id: string; readonly correlationid: string }): readonly Row[]
  /** The number of the line of an open trace that shows an event. */
  find(trace: number, event: string): number | undefined
}

export interface CorrelationRow {
  readonly correlation: string
  /** Absent if the person may not see it. */
  readonly first?: Row
  readonly events: number
  readonly tasks: number
  readonly live: number
  readonly failed: number
  /** Tapped calls that failed. */
  readonly failedCalls: number
  readonly tokens: number
  readonly cost: number
  /** Its newest activity, ms since the epoch. */
  readonly at: number
}

/** Text that a model is writing, by the call. */
export interface WrittenText {
  readonly call: string
  readonly kind: 'text' | 'reasoning' | 'tool-input'
  readonly text: string
}

/** News of an open trace. */
export interface TraceUpdate {
  /** Lines that are new or have changed. */
  readonly lines: readonly TraceLine[]
  /** All lines from top to bottom, by number; absent if the order is as before. */
  readonly order?: Uint32Array
  readonly totals: TraceTotals
  /** Whether more lines of the same state follow. */
  readonly isPartial: boolean
  /** Whether all events that are on the log have been read. */
  readonly isComplete: boolean
}

export type ToWorker =
  | { readonly call: number; readonly name: keyof WorkerCalls; readonly args: readonly unknown[] }
  | { readonly open: number; readonly origin: Origin; readonly correlation: string }
  | { readonly close: number }

export type FromWorker =
  | { readonly call: number; readonly result: unknown }
  | { readonly call: number; readonly error: ErrorData; readonly status?: number }
  | { readonly trace: number; readonly update: TraceUpdate }
  | { readonly trace: number; readonly texts: readonly WrittenText[] }
  | { readonly trace: number; readonly error: ErrorData; readonly status?: number }
