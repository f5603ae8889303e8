import type { Timeout, Duration } from '../tasks/duration.ts'

/*
 * A workflow as data: what the builder makes, what lies in the log, what is drawn. An instance goes through its steps one
 * after the other; a step that waits is a pattern over events, or calls whose answers are awaited.
 */

export interface Definition {
  readonly format: 1
  readonly name: string
  readonly version: number
  /** Where the key of an instance lies in an event, by type. Absent: one instance for each correlation. */
  readonly key?: Readonly<Record<string, readonly string[]>>
  /** Bound of a whole instance, from its first event. */
  readonly within: Timeout
  /** It can be called by name: then `event` is the input of the call. */
  readonly callable: boolean
  readonly steps: readonly Step[]
}

interface Common {
  /** Names the step within its definition: how the graph, the log and a migration refer to it. */
  readonly id: string
}

/** What is done in place of going on, when a step fails or its time is over. Absent: the instance fails. */
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

/** Waits until a pattern holds, and keeps what it captured. */
export interface WhenStep extends Common, Fallible {
  readonly kind: 'when'
  readonly pattern: Pattern
  readonly within: Timeout
}

/** Calls and keeps the answer under `as`. `undo` is called when the instance fails later. */
export interface CallStep extends Common, Fallible {
  readonly kind: 'call'
  readonly as: string
  readonly target: Target
  readonly input: Expression
  readonly within: Timeout
  readonly undo?: { readonly target: Target; readonly input: Expression }
}

export type Join = 'all' | 'settled' | { readonly quorum: number }

/** A call for each item of a list; under `as`, a list of the answers in the order of the items. */
export interface EachStep extends Common, Fallible {
  readonly kind: 'each'
  readonly as: string
  readonly items: Expression
  readonly target: Target
  /** In its scope, `item` is the item. */
  readonly input: Expression
  readonly parallel: number
  readonly join: Join
  readonly within: Timeout
}

/** Calls of different targets at once, each kept under its name. The first failure takes the others back. */
export interface ParallelStep extends Common, Fallible {
  readonly kind: 'parallel'
  readonly calls: readonly { readonly as: string; readonly target: Target }[]
  /** The inputs, by name. */
  readonly input: Expression
  readonly within: Timeout
}

/** Asks people, and keeps the answer under `as`. A denial is a failure of the step. */
export interface ApproveStep extends Common, Fallible {
  readonly kind: 'approve'
  readonly as: string
  readonly what: Expression
  readonly who?: readonly string[]
  readonly within: Timeout
  /** As long as nobody answers, `approval.reminded` is emitted this often. */
  readonly remind?: Duration
}

export interface EmitStep extends Common {
  readonly kind: 'emit'
  readonly type: string
  /** The workflow or agent that is started, without waiting for it. */
  readonly target?: string
  readonly data: Expression
}

/** Waits for a time, or until a moment that an expression gives: RFC 3339, or ms since the epoch. */
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

/** Does the steps, at least once and at most so often, until the condition holds. */
export interface RepeatStep extends Common {
  readonly kind: 'repeat'
  readonly until: Condition
  readonly most: number
  readonly steps: readonly Step[]
}

export interface CompleteStep extends Common {
  readonly kind: 'complete'
  readonly output: Expression
}

/** What was done and can be undone is undone, the last first; then the instance fails. */
export interface FailStep extends Common {
  readonly kind: 'fail'
  readonly message: Expression
}

export type Pattern =
  | OnPattern
  | { readonly kind: 'seq' | 'all' | 'any'; readonly of: readonly Pattern[] }
  | { readonly kind: 'count'; readonly times: number; readonly of: OnPattern }
  | { readonly kind: 'absent'; readonly of: Pattern; readonly within: Duration }

/** One event of a type, for which a condition holds; its data is kept under `as`. In the condition, `it` is the data. */
export interface OnPattern {
  readonly kind: 'on'
  readonly type: string
  readonly as?: string
  readonly where?: Condition
}

/** Evaluated on the scope: what the instance has kept, by name. */
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
