import type { ErrorData } from '../errors.ts'
import type { Timeout } from '../tasks/duration.ts'
import type { CallOutcome } from '../tasks/outcome.ts'
import type { CompiledWorkflow } from './compile.ts'
import type { ReceivedEvent, PatternProgress } from './match.ts'

/** The state of an instance. Stored as JSON. */
export interface InstanceState {
  at?: string
  /** Captured data and results, by name. */
  scope: Record<string, unknown>
  /** Deadline of the instance, ms since the epoch; null for none. Absent before its first input. */
  ends?: number | null
  wait?: WaitState
  /** Events that arrived before a step waits for them. */
  early?: ReceivedEvent[]
  /** Digests of the ids of the newest events that were taken or late. */
  seen?: string[]
  /** Open calls by id. The value of a call of each() or parallel() is the index of its item. */
  open?: Record<string, CallSlot>
  /** Completed rounds of each repeat(), by step id. */
  rounds?: Record<string, number>
  /** The branch taken, by the id of a choose() or of a failed step with `otherwise`. */
  ways?: Record<string, boolean>
  /** Completed steps that can be undone, oldest first. */
  undo?: { readonly step: string; readonly input: unknown }[]
  /** How the instance ends once everything is undone. `failed`: steps whose undo failed. */
  ending?: { as: InstanceEnding; failed?: string[] }
  alarm?: { call: string; due: number }
  ended?: true
}

/** An instance in a turn: its state, and the effects that the turn has so far. */
export interface InstanceCourse {
  readonly code: CompiledWorkflow
  readonly state: InstanceState
  commands: Command[]
}

export type CallSlot = number | 'call' | 'undo'

export type InstanceEnding = { readonly error: ErrorData } | { readonly cancelled: string }

export type WaitState =
  | ({ kind: 'when'; since: number } & PatternProgress)
  | { kind: 'call' }
  | { kind: 'fan'; items: unknown[]; next: number; results: (CallOutcome | null)[] }
  | { kind: 'approve'; remindAt?: number }
  | { kind: 'wait'; until: number }

export type Command =
  | { readonly kind: 'call'; readonly slot: CallSlot; readonly type: string; readonly target: string; readonly data: unknown; readonly within: Timeout }
  | { readonly kind: 'cancelCall'; readonly call: string }
  | { readonly kind: 'emit'; readonly type: string; readonly data: unknown; readonly target?: string; readonly subject?: string }
  | { readonly kind: 'complete'; readonly output: unknown }
  | { readonly kind: 'fail'; readonly error: ErrorData }
  | { readonly kind: 'cancel'; readonly reason: string } // biome-ignore format: one table

/** Whether a command is kept when the budget refuses the turn: commands that end the instance or undo steps. */
export const isKeptWhenRefused = (command: Command) =>
  ['cancelCall', 'fail', 'cancel'].includes(command.kind) || (command.kind === 'call' && command.slot === 'undo')
