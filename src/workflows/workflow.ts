import type { AnyEventType, EventType } from '../event.ts'
import type { Schema } from '../schema.ts'
import { sourceLocation } from '../stack.ts'
import type { ApprovalDecision } from '../tasks/approval.ts'
import type { Timeout, Duration } from '../tasks/duration.ts'
import type { ProgramDefinition } from '../tasks/program.ts'
import type { Callable } from '../tasks/script-context.ts'
import {
  approveStep, callStep, eachStep, emitStep, parallelStep, selected, startStep, whenStep,
} from './build-steps.ts' // biome-ignore format: one list
import { checkDefinition } from './check.ts'
import { declaredTypes } from './declared.ts'
import type { Definition, JoinMode, Step } from './definition.ts'
import { toGraph, type Graph } from './graph.ts'
import type { Key } from './key.ts'
import { checkWorkflow } from './option-checks.ts'
import type {
  ApproveStepOptions, Block, CallStepOptions, CommonWorkflowOptions, EachStepOptions, EachStepOptionsWithInput, InputOptions, InputsOf,
  JoinedOf, OnOptions, OutputsOf, ParallelStepOptions, WhenStepOptions,
} from './options.ts' // biome-ignore format: one list
import { any, on, type DataOf, type EventPattern, type TypeOrName } from './patterns.ts'
import { workflowProgram } from './program.ts'
import { placeholder, toCondition, type Ref, type Selector, type Template, type Test, type ValueOf } from './refs.ts'
import type { CompletionOf, EndingBlock, Having, Join, OutputOf, ScopeOf, WorkflowLike } from './scope.ts'

type Kept<Name extends string, Value> = { readonly [K in Name]: Value }
type Stored<Scope, Values, Otherwise extends WorkflowLike> = Join<Scope & Values, ScopeOf<Otherwise>>

interface Settings {
  readonly name: string
  readonly description?: string
  readonly version: number
  readonly within: Timeout
  readonly key?: readonly Key[]
  readonly input?: Schema
  readonly at?: string
}

/** Builder of a workflow. Each method returns a workflow with one more step. Made by `workflow()`. */
export class Workflow<Scope = object, Input = never, Completion = never>
  implements Callable<Input, OutputOf<Scope, Completion>>, WorkflowLike
{
  readonly kind = 'workflow'
  readonly name: string
  declare readonly '~block'?: { readonly scope: Scope; readonly output: Completion }
  declare readonly '~types'?: { input: (input: Input) => void; output: OutputOf<Scope, Completion> }
  readonly #settings: Settings
  readonly #steps: readonly Step[]
  #built: Definition | undefined
  #program: ProgramDefinition | undefined

  constructor(settings: Settings, steps: readonly Step[] = []) {
    this.name = settings.name
    this.#settings = settings
    this.#steps = steps
  }

  /**
   * Waits until the pattern holds, for at most `within`, and stores its captures.
   * @example
   * orders.when('paid', on(paid).as('first'), { within: '14d', otherwise: late => late.fail(() => 'no payment') })
   */
  when<Captures, W extends WorkflowLike = EndingBlock>(
    name: string,
    watch: EventPattern<Captures> | ((scope: Ref<Scope>) => EventPattern<Captures>),
    options: WhenStepOptions<Scope, NoInfer<Captures>, W>,
  ): Workflow<Stored<Scope, Captures, W>, Input, Completion | CompletionOf<W>> {
    return this.#fallible(whenStep(this.name, name, watch, options), options)
  }

  /**
   * Calls an agent, a tool or a workflow and stores the answer under `name`.
   * @example
   * orders.call('charged', charge, s => s.event, { within: '1h', undo: { target: refund, input: s => s.charged } })
   */
  call<Name extends string, In, Out, Undo, W extends WorkflowLike = EndingBlock>(
    name: Name,
    target: Callable<In, Out>,
    input: Selector<Scope, Template<NoInfer<In>>>,
    options: CallStepOptions<Scope, Name, Out, Undo, W> = {},
  ): Workflow<Stored<Scope, Kept<Name, Out>, W>, Input, Completion | CompletionOf<W>> {
    return this.#fallible(callStep(this.name, name, target, input, options), options)
  }

  /**
   * Calls a target for each item of a list, several at a time, and stores the answers in the order of the items.
   * @example orders.each('answers', () => ['When?', 'Where?'], helper, { parallel: 2 })
   */
  each<Name extends string, In, Out, J extends JoinMode = 'all', W extends WorkflowLike = EndingBlock>(
    name: Name,
    items: Selector<Scope, Template<readonly In[]>>,
    target: Callable<In, Out>,
    options?: EachStepOptions<Scope, J, W>,
  ): Workflow<Stored<Scope, Kept<Name, JoinedOf<J, Out>>, W>, Input, Completion | CompletionOf<W>>
  each<Name extends string, Item, In, Out, J extends JoinMode = 'all', W extends WorkflowLike = EndingBlock>(
    name: Name,
    items: Selector<Scope, Template<readonly Item[]>>,
    target: Callable<In, Out>,
    options: EachStepOptionsWithInput<Scope, Item, In, J, W>,
  ): Workflow<Stored<Scope, Kept<Name, JoinedOf<J, Out>>, W>, Input, Completion | CompletionOf<W>>
  each(name: string, items: Selector<Scope, unknown>, target: Callable<never, unknown>, options: object = {}): never {
    return this.#fallible(eachStep(this.name, name, items, target, options), options)
  }

  /**
   * Calls several targets concurrently and stores each answer under its name. The first failure cancels the others.
   * @example
   * orders.parallel('look up', { stock: search, terms: helper }, s => ({
   *   stock: { query: s.event.order },
   *   terms: 'What are the terms?',
   * }))
   */
  parallel<Targets extends Readonly<Record<string, Callable<never, unknown>>>, W extends WorkflowLike = EndingBlock>(
    name: string,
    targets: Targets,
    inputs: Selector<Scope, Template<NoInfer<InputsOf<Targets>>>>,
    options: ParallelStepOptions<Scope, W> = {},
  ): Workflow<Stored<Scope, OutputsOf<Targets>, W>, Input, Completion | CompletionOf<W>> {
    return this.#fallible(parallelStep(this.name, name, targets, inputs, options), options)
  }

  /**
   * Asks people for approval. A denial fails the step: see `otherwise`.
   * @example
   * orders.approve('release', s => ({ amount: s.event.amount }), { approvers: ['ann'], within: '2d', remind: '1d' })
   */
  approve<Name extends string, W extends WorkflowLike = EndingBlock>(
    name: Name,
    what: Selector<Scope, unknown>,
    options: ApproveStepOptions<Scope, W>,
  ): Workflow<Stored<Scope, Kept<Name, ApprovalDecision>, W>, Input, Completion | CompletionOf<W>> {
    return this.#fallible(approveStep(this.name, name, what, options), options)
  }

  /**
   * Publishes an event. A declared type checks the data when the workflow is built.
   * @example orders.emit(booked, s => ({ order: s.event.order, amount: s.event.amount }))
   */
  emit(type: string, data: Selector<Scope, unknown>): Workflow<Scope, Input, Completion>
  emit<Given>(
    type: EventType<unknown, Given>,
    data: Selector<Scope, Template<NoInfer<Given>>>,
  ): Workflow<Scope, Input, Completion>
  emit(type: TypeOrName, data: Selector<Scope, unknown>): Workflow<Scope, Input, Completion> {
    return this.#with(emitStep(type, data))
  }

  /**
   * Starts an agent or a workflow without waiting for it.
   * @example orders.start(helper, s => text`Summarise order ${s.event.order}`)
   */
  start<In>(
    target: Callable<In, unknown>,
    input: Selector<Scope, Template<NoInfer<In>>>,
  ): Workflow<Scope, Input, Completion> {
    return this.#with(startStep(this.name, target, input))
  }

  /**
   * Waits for a duration.
   * @example orders.wait('3d')
   */
  wait(after: Duration): Workflow<Scope, Input, Completion> {
    return this.#with({ kind: 'wait', id: 'wait', until: { after } })
  }

  /**
   * Waits until a time: RFC 3339 or ms since the epoch. A past time does not wait.
   * @example orders.waitUntil(() => '2027-01-01T00:00:00Z')
   */
  waitUntil(moment: Selector<Scope, Template<string | number>>): Workflow<Scope, Input, Completion> {
    return this.#with({ kind: 'wait', id: 'wait until', until: { moment: selected(moment) } })
  }

  /**
   * Runs one of two branches. Values that a branch stores may be missing later.
   * @example
   * orders.choose(s => above(s.event.amount, 1_000), large =>
   *   large.approve('release', s => s.event, { within: '2d' }),
   * )
   */
  choose<
    Then extends WorkflowLike,
    Yes = never,
    No = never,
    Otherwise extends WorkflowLike = Workflow<Having<Scope, No>>,
  >(
    condition: Selector<Scope, Test<Yes, No>>,
    then: Block<Having<Scope, Yes>, Then>,
    otherwise?: Block<Having<Scope, No>, Otherwise>,
  ): Workflow<
    Join<ScopeOf<Then>, ScopeOf<Otherwise>>,
    Input,
    Completion | CompletionOf<Then> | CompletionOf<Otherwise>
  > {
    return this.#with({
      kind: 'choose',
      id: 'choose',
      condition: toCondition(condition(placeholder([]))),
      steps: this.#block(then),
      otherwise: otherwise ? this.#block(otherwise) : [],
    })
  }

  /**
   * Repeats the steps until the condition holds, for at most `maxRounds` rounds. Then the next step runs.
   * @example
   * orders.repeat('until it has results', again => again.call('found', search, s => ({ query: s.event.order })), {
   *   until: s => not(is(s.found, [])),
   *   maxRounds: 5,
   * })
   */
  repeat<Steps extends WorkflowLike>(
    name: string,
    steps: Block<Scope, Steps>,
    { until, maxRounds }: { until: Selector<ScopeOf<Steps>, Test>; maxRounds: number },
  ): Workflow<ScopeOf<Steps>, Input, Completion | CompletionOf<Steps>> {
    const condition = toCondition(until(placeholder([])))
    return this.#with({ kind: 'repeat', id: name, until: condition, most: maxRounds, steps: this.#block(steps) })
  }

  /**
   * Ends the instance. The output is what a caller gets.
   * @example orders.complete(s => ({ order: s.event.order }))
   */
  complete<T>(output: Selector<Scope, T>): Workflow<never, Input, Completion | ValueOf<T>> {
    return this.#with({ kind: 'complete', id: 'complete', output: selected(output) })
  }

  /**
   * Fails the instance, after undoing completed steps that can be undone.
   * @example orders.fail(s => text`Order ${s.event.order} was not paid`)
   */
  fail(message: Selector<Scope, Template<string>>): Workflow<never, Input, Completion> {
    return this.#with({ kind: 'fail', id: 'fail', message: selected(message) })
  }

  /** Tells models what it does. */
  get description(): string | undefined {
    return this.#settings.description
  }

  /** The schema of its input, if it is started by calls. */
  get input(): Schema | undefined {
    return this.#settings.input
  }

  /** The workflow as data. @throws E_APP_INVALID */
  get data(): Definition {
    const { name, version, within, key, input } = this.#settings
    this.#built ??= checkDefinition({
      format: 1,
      name,
      version,
      ...(key && { key: Object.fromEntries(key.map(({ type, path }) => [type, path])) }),
      within,
      callable: input !== undefined,
      steps: this.#steps,
    })
    return this.#built
  }

  /** The event types that it was built with. */
  get events(): readonly AnyEventType[] {
    return declaredTypes(this.#steps)
  }

  /**
   * The graph of the steps, as data.
   * @example for (const { id, kind } of orders.toGraph().nodes) show(`${id}: ${kind}`)
   */
  toGraph(): Graph {
    return toGraph(this.data)
  }

  /** The program that the engine runs. */
  get definition(): ProgramDefinition {
    const { at, input } = this.#settings
    const { events } = this
    return (this.#program ??= workflowProgram(this.data, { events, ...(at && { at }), ...(input && { input }) }))
  }

  #with(step: Step): never {
    return new Workflow(this.#settings, [...this.#steps, step]) as never
  }

  #fallible(step: Step, { otherwise }: { otherwise?: unknown }): never {
    return this.#with(otherwise ? ({ ...step, otherwise: this.#block(otherwise) } as Step) : step)
  }

  #block(block: unknown): readonly Step[] {
    return (block as (steps: Workflow) => Workflow)(new Workflow(this.#settings)).#steps
  }
}

/**
 * Declares a workflow. An instance starts with the first event that a pattern waits for, or with a call.
 * @throws E_APP_INVALID
 * @example
 * const watch = workflow('watch', { on: placed, within: '30d' })
 *   .when('paid', on(paid).as('payment'), { within: '14d' })
 *   .complete(s => s.payment.amount)
 */
export function workflow<const T extends TypeOrName | readonly TypeOrName[]>(
  name: string,
  options: OnOptions<T>,
): Workflow<{ readonly event: DataOf<T extends readonly (infer One)[] ? One : T> }>
export function workflow<Input, Given = Input>(
  name: string,
  options: InputOptions<Input, Given>,
): Workflow<{ readonly event: Input }, Given>
export function workflow(name: string, options: CommonWorkflowOptions): Workflow
export function workflow(
  name: string,
  given: Partial<CommonWorkflowOptions> & { within: Timeout; on?: TypeOrName | readonly TypeOrName[]; input?: Schema },
): unknown {
  checkWorkflow(name, given)
  const { version = 1, ...options } = given
  const at = sourceLocation(new Error().stack)
  const { on: begins, ...settings } = options
  const empty = new Workflow({ ...settings, name, version, ...(at && { at }) })
  if (begins === undefined) return empty
  const types = (Array.isArray(begins) ? begins : [begins]) as readonly TypeOrName[]
  const started = types.map(type => on(type).as('event'))
  return empty.when('event', started.length === 1 ? started[0]! : any(...started), { within: options.within })
}
