import type { Timeout, Duration } from '../tasks/duration.ts'

/*
 * A workflow as data: the result of the builder, stored on the log and drawn as a graph. An instance executes its steps in order. A step
 * may wait for a pattern of events or for the answers of calls.
 */

export interface Definition {
  readonly format: 1
  readonly name: string
  readonly version: number
  /** Path of the instance key in the data of each event type. Absent: one instance for each correlation. */
  readonly key?: Readonly<Record<string, readonly string[]>>
  /** Maximum duration of an instance, from its first event. */
  readonly within: Timeout
  /** Whether it is started by calls instead of events. `event` is then the input of the call. */
  readonly callable: boolean
  readonly steps: readonly Step[]
}

interface Common {
  /** Unique within the definition. Graphs, logs and migrations refer to it. */
  readonly id: string
}

/** Steps that run if this step fails or times out. Absent: the instance fails. */
interface Fallible {
  readonly otherwise?: readonly Step[]
}

export type Target = { readonly kind: 'agent' | 'tool' | 'workflow'; readonly name: string }

export type Step =
  | WhenStep
  | CallStep
  | EachStep
  | ParallelStep
  | ApproveStep
  | EmitStep
  | WaitStep
  | ChooseStep
  | RepeatStep
  | CompleteStep
  | FailStep

/** Waits until a pattern holds, and stores its captures. */
export interface WhenStep extends Common, Fallible {
  readonly kind: 'when'
  readonly pattern: Pattern
  readonly within: Timeout
}

/** Calls a target and stores the answer under `as`. `undo` is called if the instance fails later. */
export interface CallStep extends Common, Fallible {
  readonly kind: 'call'
  readonly as: string
  readonly target: Target
  readonly input: Expression
  readonly within: Timeout
  readonly undo?: { readonly target: Target; readonly input: Expression }
}

/** `all`: every call must succeed. `settled`: failures count as results. `quorum`: this many must succeed; the others are cancelled. */
export type JoinMode = 'all' | 'settled' | { readonly quorum: number }

/** A call for each item of a list. Stores the answers under `as`, in the order of the items. */
export interface EachStep extends Common, Fallible {
  readonly kind: 'each'
  readonly as: string
  readonly items: Expression
  readonly target: Target
  /** Its scope contains `item`. */
  readonly input: Expression
  readonly parallel: number
  readonly join: JoinMode
  readonly within: Timeout
}

/** Concurrent calls of several targets, each stored under its name. The first failure cancels the others. */
export interface ParallelStep extends Common, Fallible {
  readonly kind: 'parallel'
  readonly calls: readonly { readonly as: string; readonly target: Target }[]
  readonly input: Expression
  readonly within: Timeout
}

/** Asks people and stores the answer under `as`. A denial fails the step. */
export interface ApproveStep extends Common, Fallible {
  readonly kind: 'approve'
  readonly as: string
  readonly what: Expression
  /** The builder calls it `approvers`; stored definitions keep this name. */
  readonly who?: readonly string[]
  readonly within: Timeout
  /** Interval of `approval.reminded` while there is no answer. */
  readonly remind?: Duration
}

export interface EmitStep extends Common {
  readonly kind: 'emit'
  readonly type: string
  /** The workflow or agent to start without waiting for it. */
  readonly target?: string
  readonly data: Expression
}

/** Waits for a duration, or until a time: RFC 3339 or ms since the epoch. */
export interface WaitStep extends Common {
  readonly kind: 'wait'
  readonly until: { readonly after: Duration } | { readonly moment: Expression }
}

export interface ChooseStep extends Common {
  readonly kind: 'choose'
  readonly condition: Condition
  readonly steps: readonly Step[]
  readonly otherwise: readonly Step[]
}

/** Runs the steps at least once, until the condition holds or `most` rounds are done. */
export interface RepeatStep extends Common {
  readonly kind: 'repeat'
  readonly until: Condition
  /** Maximum number of rounds. The builder calls it `maxRounds`; stored definitions keep this name. */
  readonly most: number
  readonly steps: readonly Step[]
}

export interface CompleteStep extends Common {
  readonly kind: 'complete'
  readonly output: Expression
}

/** Undoes the completed steps that can be undone, newest first, and fails the instance. */
export interface FailStep extends Common {
  readonly kind: 'fail'
  readonly message: Expression
}

export type Pattern =
  | OnPattern
  | { readonly kind: 'seq' | 'all' | 'any'; readonly of: readonly Pattern[] }
  | { readonly kind: 'count'; readonly times: number; readonly of: OnPattern }
  | { readonly kind: 'absent'; readonly of: Pattern; readonly within: Duration }

/** One event of a type that satisfies the condition, in which `it` is the data. Stores the data under `as`. */
export interface OnPattern {
  readonly kind: 'on'
  readonly type: string
  readonly as?: string
  readonly where?: Condition
}

/** Evaluated on the scope, the values that the instance has stored by name. */
export type Expression =
  | { readonly ref: readonly string[] }
  | { readonly value: string | number | boolean | null }
  | { readonly fields: Readonly<Record<string, Expression>> }
  | { readonly list: readonly Expression[] }
  | { readonly text: readonly Expression[] }

export type Comparison = 'is' | 'above' | 'atLeast' | 'below' | 'atMost' | 'includes'

export type Condition =
  | { readonly compare: Comparison; readonly left: Expression; readonly right: Expression }
  | { readonly exists: Expression }
  | { readonly not: Condition }
  | { readonly both: readonly Condition[] }
  | { readonly either: readonly Condition[] }
