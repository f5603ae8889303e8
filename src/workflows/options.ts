import type { Timeout, Duration } from '../tasks/duration.ts'
import type { Callable } from '../tasks/script.ts'
import type { Ref, Template } from './refs.ts'
import type { Workflow } from './workflow.ts'

/** A workflow, whatever it keeps. */
export interface AnyWorkflow {
  readonly kind: 'workflow'
  readonly name: string
  /** For the compiler only. */
  readonly '~scope'?: unknown
}

export type ScopeOf<W> = W extends { readonly '~scope'?: infer Scope } ? Scope : never

interface Fallible<Scope> {
  /** What is done in place of going on; in its scope `error` says what happened. After it the next step comes. */
  otherwise?: (steps: Workflow<Scope & { readonly error: Failure }>) => AnyWorkflow
}

export interface Failure {
  readonly code: string
  readonly message: string
}

/** In the scope of `otherwise` is what had come by then. */
export interface WhenOptions<Scope, Captures> extends Fallible<Scope & Partial<Captures>> {
  /** Longest wait. */
  within: Timeout
}

export interface CallStepOptions<Scope, Name extends string, Out, Undo> extends Fallible<Scope> {
  /** Longest wait for the answer, queueing included. Default one day. */
  within?: Timeout
  /** Called when the instance fails or is cancelled later: the last first. */
  undo?: {
    target: Callable<Undo, unknown>
    input(scope: Ref<Scope & { readonly [K in Name]: Out }>): Template<NoInfer<Undo>>
  }
}

/** `all`: each must answer. `settled`: failures are answers too. `quorum`: so many must answer, the rest is withdrawn. */
export type Joining = 'all' | 'settled' | { readonly quorum: number }

export interface EachOptions<Scope, J extends Joining> extends Fallible<Scope> {
  /** Most calls at a time. Default 8. */
  parallel?: number
  /** Default `all`. */
  join?: J
  /** Longest wait for one answer. Default one day. */
  within?: Timeout
}

export interface EachOptionsOf<Scope, Item, In, J extends Joining> extends EachOptions<Scope, J> {
  input(item: Ref<Item>, scope: Ref<Scope>): Template<NoInfer<In>>
}

export interface ParallelOptions<Scope> extends Fallible<Scope> {
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
  | { readonly output?: never; readonly error: Failure }

export type JoinedOf<J extends Joining, Out> = J extends 'settled' ? readonly Settled<Out>[] : readonly Out[]

export interface ApproveOptions<Scope> extends Fallible<Scope> {
  /** Who may answer. Default: whoever has an identity. */
  who?: readonly string[]
  /** Longest wait. */
  within: Timeout
  /** As long as nobody answers, `approval.reminded` is emitted this often. */
  remind?: Duration
}

/** What people said. */
export interface Approval {
  readonly approved: boolean
  readonly by: string
  readonly at: string
  readonly comment?: string
}
