import type { CloudEvent } from '../event.ts'
import type { ErrorData } from '../errors.ts'
import type { Outcome, PinnedDefinition } from './replay.ts'

/* What goes between a replay and its threads. */

/** URL of the module whose default export is the app. */
export interface ThreadData {
  readonly module: string
}

/** By their keys, what the requests of the app's model agents refer to. */
export type Definitions = Readonly<Record<string, unknown>>

export type ToThread =
  | { readonly kind: 'events'; readonly events: readonly { position: number; event: CloudEvent }[] }
  | { readonly kind: 'definition'; readonly task: string; readonly definition: PinnedDefinition }
  | { readonly kind: 'snapshot'; readonly task: string; readonly state: string }
  | { readonly kind: 'finish' }

/** `ready`: takes more. One for the start, and one for each message. */
export type FromThread =
  | { readonly kind: 'ready' }
  | { readonly kind: 'outcome'; readonly outcome: Outcome; readonly definitions: Definitions }
  | { readonly kind: 'failed'; readonly error: ErrorData }
