import type { Timeout, Duration } from '../tasks/duration.ts'
import type { Callable } from '../tasks/script-context.ts'
import type { JoinMode } from './definition.ts'
import type { Ref, Template } from './refs.ts'
import type { Workflow } from './workflow.ts'

/** A workflow with any scope. */
export interface WorkflowLike {
  readonly kind: 'workflow'
  readonly name: string
  /** For the compiler only. */
  readonly '~scope'?: unknown
}

export type ScopeOf<W> = W extends { readonly '~scope'?: infer Scope } ? Scope : never

interface Fallible<Scope> {
  /** Steps that run if this step fails; their scope contains `error`. Afterwards the next step runs. */
  otherwise?: (steps: Workflow<Scope & { readonly error: StepFailure }>) => WorkflowLike
}

/** Why a step failed: an error code, and its text. */
export interface StepFailure {
  readonly code: string
  readonly message: string
}

/** The scope of `otherwise` contains what was captured before the failure. */
export interface WhenStepOptions<Scope, Captures> extends Fallible<Scope & Partial<Captures>> {
  /** Maximum wait. */
  within: Timeout
}

export interface CallStepOptions<Scope, Name extends string, Out, Undo> extends Fallible<Scope> {
  /** Maximum wait for the answer, including time in queues. Default one day. */
  within?: Timeout
  /** Called if the instance fails or is cancelled later. Undo calls run newest first. */
  undo?: {
    target: Callable<Undo, unknown>
    input(scope: Ref<Scope & { readonly [K in Name]: Out }>): Template<NoInfer<Undo>>
  }
}

export interface EachStepOptions<Scope, J extends JoinMode> extends Fallible<Scope> {
  /** Maximum number of concurrent calls. Default 8. */
  parallel?: number
  /** Default `all`. */
  join?: J
  /** Longest wait for one answer. Default one day. */
  within?: Timeout
}

export interface EachStepOptionsWithInput<Scope, Item, In, J extends JoinMode> extends EachStepOptions<Scope, J> {
  input(item: Ref<Item>, scope: Ref<Scope>): Template<NoInfer<In>>
}

export interface ParallelStepOptions<Scope> extends Fallible<Scope> {
  /** Longest wait for one answer. Default one day. */
  within?: Timeout
}

export type InputsOf<Targets> = {
  readonly [Name in keyof Targets]: Targets[Name] extends Callable<infer In, unknown> ? In : never
}

export type OutputsOf<Targets> = {
  readonly [Name in keyof Targets]: Targets[Name] extends Callable<never, infer Out> ? Out : never
}

export type Settled<Out> =
  | { readonly output: Out; readonly error?: never }
  | { readonly output?: never; readonly error: StepFailure }

export type JoinedOf<J extends JoinMode, Out> = J extends 'settled' ? readonly Settled<Out>[] : readonly Out[]

export interface ApproveStepOptions<Scope> extends Fallible<Scope> {
  /** People who may answer. Default: every identified person. */
  approvers?: readonly string[]
  /** Longest wait. */
  within: Timeout
  /** Interval of `approval.reminded` while there is no answer. Default: none. */
  remind?: Duration
}
