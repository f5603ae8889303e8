import type { ErrorData } from '../errors.ts'
import type { StoredEvent } from '../bus/driver.ts'
import type { DivergenceContext } from './divergence.ts'
import type { ReplayOutcome, PinnedDefinition } from './replayer.ts'

/* Messages between a replay and its processes. */

/** Documents that model calls of the app refer to, by key. */
export type Definitions = Readonly<Record<string, unknown>>

export type ToProcess =
  /** First. `module`: URL of the module whose default export is the app; `stuck`: programs that are not run. */
  | { readonly kind: 'load'; readonly module: string; readonly stuck: readonly string[] }
  | { readonly kind: 'events'; readonly events: readonly StoredEvent[] }
  | { readonly kind: 'definition'; readonly task: string; readonly definition: PinnedDefinition }
  | { readonly kind: 'snapshot'; readonly task: string; readonly state: string }
  | { readonly kind: 'finish' }

/** The process answers each message except the last with `ready`. */
export type FromProcess =
  | { readonly kind: 'ready' }
  | { readonly kind: 'outcome'; readonly outcome: ReplayOutcome; readonly definitions: Definitions }
  | { readonly kind: 'failed'; readonly error: ErrorData }

/** The current turn, written to a pipe as a line of JSON before it runs: a process that hangs in it cannot send messages. */
export interface TurnProgress {
  readonly context: DivergenceContext
  /** Where the program is defined, as `path:line:column`. */
  readonly sourceLocation?: string | undefined
}

/** File descriptor of that pipe. */
export const progressPipe = 4
