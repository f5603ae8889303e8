import type { Schema } from '../schema.ts'
import type { Timeout, Duration } from '../tasks/duration.ts'
import type { Callable } from '../tasks/script-context.ts'
import type { JoinMode } from './definition.ts'
import type { Key } from './key.ts'
import type { Ref, Template } from './refs.ts'
import type { WorkflowLike } from './scope.ts'
import type { Workflow } from './workflow.ts'

/** Options of every workflow. */
export interface CommonWorkflowOptions {
  /** Tells the models of agents, whose `tools` contain this workflow, what it does and when to call it. */
  description?: string
  /** Maximum duration of an instance, from its first event. */
  within: Timeout
  /** Raise it when the steps change. New instances use it; running ones keep their definition. Default 1. */
  version?: number
  /** One instance for each key; needs a key for every awaited type. Default: one instance for each correlation. */
  key?: readonly Key[]
}

/** A workflow that begins with an event. */
export interface OnOptions<T> extends CommonWorkflowOptions {
  /** The event type, or types, that start an instance. The data is `s.event`. */
  on: T
}

/** A workflow that is called. */
export interface InputOptions<Input, Given = unknown> {
  description?: string
  within: Timeout
  version?: number
  /** Schema of the input, which is `s.event`. The workflow is then started by calls instead of events. */
  input: Schema<Input, Given>
}

/** A function that adds steps. */
export type Block<Scope, W extends WorkflowLike> = (steps: Workflow<Scope>) => W

interface Fallible<Scope, W extends WorkflowLike> {
  /**
   * Steps that run if this step fails; their scope contains `error`. Afterwards the next step runs, in which the values of this step may be
   * missing, unless the steps end with `complete()` or `fail()`.
   */
  otherwise?: Block<Scope & { readonly error: StepFailure }, W>
}

/** Why a step failed: an error code, and its text. */
export interface StepFailure {
  readonly code: string
  readonly message: string
}

/** The scope of `otherwise` contains what was captured before the failure. */
export interface WhenStepOptions<Scope, Captures, W extends WorkflowLike>
  extends Fallible<Scope & Partial<Captures>, W> {
  /** Maximum wait. */
  within: Timeout
}

export interface CallStepOptions<Scope, Name extends string, Out, Undo, W extends WorkflowLike>
  extends Fallible<Scope, W> {
  /** Maximum wait for the answer, including time in queues. Default one day. */
  within?: Timeout
  /** Called if the instance fails or is cancelled later. Undo calls run newest first. */
  undo?: {
    target: Callable<Undo, unknown>
    input(scope: Ref<Scope & { readonly [K in Name]: Out }>): Template<NoInfer<Undo>>
  }
}

export interface EachStepOptions<Scope, J extends JoinMode, W extends WorkflowLike> extends Fallible<Scope, W> {
  /** Maximum number of concurrent calls. Default 8. */
  parallel?: number
  /** Default `all`. */
  join?: J
  /** Longest wait for one answer. Default one day. */
  within?: Timeout
}

export interface EachStepOptionsWithInput<Scope, Item, In, J extends JoinMode, W extends WorkflowLike>
  extends EachStepOptions<Scope, J, W> {
  input(item: Ref<Item>, scope: Ref<Scope>): Template<NoInfer<In>>
}

export interface ParallelStepOptions<Scope, W extends WorkflowLike> extends Fallible<Scope, W> {
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

export interface ApproveStepOptions<Scope, W extends WorkflowLike> extends Fallible<Scope, W> {
  /** People who may answer. Default: every identified person. */
  approvers?: readonly string[]
  /** Longest wait. */
  within: Timeout
  /** Interval of `approval.reminded` while there is no answer. Default: none. */
  remind?: Duration
}
