import type { ErrorData } from '../errors.ts'
import type { CallOutcome } from '../tasks/outcome.ts'
import type { Heard, Progress } from './match.ts'

/** Where an instance stands. JSON; small as long as what it keeps is. */
export interface State {
  /** Id of its step. */
  at?: string
  /** What it has kept, by name. */
  scope: Record<string, unknown>
  /** Moment at which the whole instance is over, ms since the epoch; null for never. Absent before its first event. */
  ends?: number | null
  /** How far the step is where it stands. */
  wait?: Wait
  /** What came before its turn. */
  early?: Heard[]
  /** Digests of the ids of events that were taken or were late, the newest. */
  seen?: string[]
  /** Calls that wait for an answer: of each() and parallel(), the number of the item. */
  open?: Record<string, Slot>
  /** How often the steps of a repeat() were done, by its id. */
  rounds?: Record<string, number>
  /** Which way was taken, by the id of a choose(), or of a step that failed and has an `otherwise`. */
  ways?: Record<string, boolean>
  /** What can be undone, in the order in which it was done. */
  undo?: Undo[]
  /** It fails, or is cancelled, as soon as everything is undone. */
  ending?: { as: Ending; failed?: string[] }
  /** The timer that wakes it. */
  alarm?: { call: string; due: number }
  ended?: true
}

export type Slot = number | 'call' | 'undo'

export type Ending = { readonly error: ErrorData } | { readonly cancelled: string }

export interface Undo {
  readonly step: string
  readonly input: unknown
}

export type Wait =
  | ({ kind: 'when'; since: number } & Progress)
  | { kind: 'call' }
  | { kind: 'fan'; items: unknown[]; next: number; results: (Result | null)[] }
  | { kind: 'approve'; remindAt?: number }
  | { kind: 'wait'; until: number }

export type Result = CallOutcome

/** What a turn does outside the state. */
export type Command =
  | { readonly kind: 'ask'; readonly slot: Slot; readonly type: string; readonly target: string; readonly data: unknown; readonly within: number | 'forever' }
  | { readonly kind: 'withdraw'; readonly call: string }
  | { readonly kind: 'emit'; readonly type: string; readonly data: unknown; readonly target?: string; readonly subject?: string }
  | { readonly kind: 'complete'; readonly output: unknown }
  | { readonly kind: 'fail'; readonly error: ErrorData }
  | { readonly kind: 'cancel'; readonly reason: string } // biome-ignore format: one table

/** Whether a command stays when the turn asks for more than the budget has: what ends the instance, and what undoes it. */
export const isKeptWhenRefused = (command: Command) =>
  ['withdraw', 'fail', 'cancel'].includes(command.kind) || (command.kind === 'ask' && command.slot === 'undo')
