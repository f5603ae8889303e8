import type { ErrorData } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import type { DivergenceContext } from './divergence.ts'
import type { ReplayOutcome, PinnedDefinition } from './replayer.ts'

/* What goes between a replay and its processes. */

/** By their keys, what the requests of the app's model agents refer to. */
export type Definitions = Readonly<Record<string, unknown>>

export type ToProcess =
  /** First. `module`: URL of the module whose default export is the app; `stuck`: programs that are not run, see parallel.ts. */
  | { readonly kind: 'load'; readonly module: string; readonly stuck: readonly string[] }
  | { readonly kind: 'events'; readonly events: readonly { position: number; event: CloudEvent }[] }
  | { readonly kind: 'definition'; readonly task: string; readonly definition: PinnedDefinition }
  | { readonly kind: 'snapshot'; readonly task: string; readonly state: string }
  | { readonly kind: 'finish' }

/** `ready`: takes more. One for each message but the last. */
export type FromProcess =
  | { readonly kind: 'ready' }
  | { readonly kind: 'outcome'; readonly outcome: ReplayOutcome; readonly definitions: Definitions }
  | { readonly kind: 'failed'; readonly error: ErrorData }

/** The turn that is replayed now, as a line of JSON in a pipe: a process that hangs in it cannot answer any more. */
export interface TurnProgress {
  readonly context: DivergenceContext
  /** Where the program is defined. */
  readonly sourceLocation?: string | undefined
}

/** Number of that pipe. */
export const progressPipe = 4
