import type { CloudEvent } from '../../../src/event.ts'
import type { Budget } from '../../../src/tasks/budget.ts'

/* What the gateway answers: docs/http.md. */

/** An event without its payload. */
export type Row = CloudEvent & { readonly summary: string; readonly bytes?: number }

/** A row with its place in the log. */
export type StoredRow = Row & { readonly cursor: string }

export interface EventPage {
  /** Newest first. */
  readonly events: readonly StoredRow[]
  /** `before` of the next page. */
  readonly next?: string
  /** Where a stream continues after the newest event of the log. */
  readonly head: string
}

export interface Info {
  readonly version: string
  readonly log: {
    readonly bus: string
    readonly durability: { readonly survives: 'power' | 'process' | 'nothing'; readonly detail: string }
    readonly partitions: number
    readonly head: string
    /** Up to here, events were removed. */
    readonly horizon?: string
    /** How long events stay, in ms. */
    readonly retention?: number
    /** How many events the index of the lists has not read. */
    readonly index: { readonly behind: number }
  }
  readonly principal: {
    readonly tenant: string
    readonly user?: string
    readonly rights: {
      readonly publish: boolean
      readonly read: boolean
      readonly approve: boolean
      readonly operate: boolean
    }
  }
  /** Whether requests need a credential. */
  readonly identity: boolean
  readonly apps: readonly { readonly app: string; readonly budget?: Readonly<Partial<Budget>> }[]
  readonly agents: readonly Declared[]
  readonly tools: readonly Declared[]
  readonly models: readonly { readonly name: string }[]
  readonly workflows: readonly (Declared & { readonly hash: string })[]
  readonly types: readonly { readonly type: string; readonly description?: string; readonly schema?: JsonSchema }[]
}

export interface Declared {
  readonly name: string
  /** Of agents and workflows. */
  readonly app?: string
  readonly description?: string
  readonly input?: JsonSchema
  readonly output?: JsonSchema
  /** Of agents and workflows: types and patterns of the events that start them. */
  readonly on?: readonly string[]
}

export type JsonSchema = Readonly<Record<string, unknown>>

/** An event with its data, unless the data is larger than 256 KiB: then `preview` is its beginning as text. */
export interface EventDetails {
  readonly event: CloudEvent
  readonly bytes: number
  readonly truncated?: true
  readonly preview?: string
}
