/* For the compiler: which values an instance has at a place of a workflow, by name. `never`: no instance gets there. */

export type IsAny<T> = 0 extends 1 & T ? true : false

/** A workflow with any scope. */
export interface WorkflowLike {
  readonly kind: 'workflow'
  readonly name: string
  /** For the compiler only: the scope after the last step, and what it completes with before. */
  readonly '~block'?: { readonly scope: unknown; readonly output: unknown }
}

export type ScopeOf<W extends WorkflowLike> = NonNullable<W['~block']>['scope']
export type CompletionOf<W extends WorkflowLike> = NonNullable<W['~block']>['output']

/** A block that ends the instance, so that no later step follows it. */
export interface EndingBlock extends WorkflowLike {
  readonly '~block'?: { readonly scope: never; readonly output: never }
}

/** The output of a workflow: `null` if it ends without `complete()`. */
export type OutputOf<Scope, Completion> = Completion | ([Scope] extends [never] ? never : null)

/** The scope where two ways meet: a value that one of them does not store may be missing. */
export type Join<A, B> = [A] extends [never]
  ? B
  : [B] extends [never]
    ? A
    : IsAny<A | B> extends true
      ? A
      : { readonly [K in keyof A & keyof B]: A[K] | B[K] } & Partial<
          Omit<A, keyof B | 'error'> & Omit<B, keyof A | 'error'>
        >

/** Path of a value in the scope. */
export type ScopePath = readonly PropertyKey[]

/** The scope when the values at these paths exist. */
export type Having<Scope, Paths> = Scope & Intersection<Existing<Scope, Paths>>

type Existing<T, P> = P extends readonly [infer K extends keyof T, ...infer Rest]
  ? { readonly [Name in K]-?: NonNullable<T[K]> & (Rest extends [] ? unknown : Existing<NonNullable<T[K]>, Rest>) }
  : never

type Intersection<Union> = (Union extends unknown ? (each: Union) => void : never) extends (all: infer All) => void
  ? All
  : never
