import { TidingsError } from '../errors.ts'
import type { EventType } from '../event.ts'
import type { Schema } from '../schema.ts'
import { sourceLocation } from '../stack.ts'
import type { Timeout, Duration } from '../tasks/duration.ts'
import type { ProgramDefinition } from '../tasks/program.ts'
import type { Callable } from '../tasks/script.ts'
import { checked } from './check.ts'
import { checkStep, checkWorkflow } from './option-checks.ts'
import type { Definition, Step, Target } from './definition.ts'
import { toGraph, type Graph } from './graph.ts'
import { any, on, typeName, type DataOf, type Type, type Watch } from './patterns.ts'
import { workflowProgram } from './program.ts'
import {
  conditionOf,
  expressionOf,
  standIn,
  type Given,
  type Ref,
  type Selector,
  type Template,
  type Test,
} from './refs.ts'
import type {
  AnyWorkflow,
  Approval,
  ApproveOptions,
  CallStepOptions,
  EachOptions,
  EachOptionsOf,
  JoinedOf,
  InputsOf,
  Joining,
  OutputsOf,
  ParallelOptions,
  ScopeOf,
  WhenOptions,
} from './options.ts'

interface Common {
  /** Longest life of an instance, from its first event. */
  within: Timeout
  /** Raise it when the steps change: new instances take it, those that run stay with theirs. Default 1. */
  version?: number
  /** One instance for each key. Every type that the workflow waits for has one. Default: one for each correlation. */
  key?: readonly Key[]
}

export interface OnOptions<T> extends Common {
  /** What begins an instance: its data is `s.event`. */
  on: T
}

export interface InputOptions<Input> {
  within: Timeout
  version?: number
  /** It is called, by a workflow or an agent: the input is `s.event`. */
  input: Schema<Input>
}

/** Where the key of an instance lies in events of a type. Made by `by()`. */
export interface Key {
  readonly type: string
  readonly path: readonly string[]
}

/** `by(paid, p => p.order)`: events of this type belong to the instance of this key. @throws E_APP_INVALID */
export function by<T extends Type>(type: T, select: (data: Ref<DataOf<T>>) => unknown): Key {
  const expression = expressionOf(select(standIn([])))
  if (!('ref' in expression) || expression.ref.length === 0)
    throw new TidingsError('E_APP_INVALID', `by(${typeName(type)}): the key is a field of the event`)
  return { type: typeName(type), path: expression.ref }
}

type Kept<Name extends string, Value> = { readonly [K in Name]: Value }
type Block<Scope, W extends AnyWorkflow> = (steps: Workflow<Scope>) => W

interface Settings {
  readonly name: string
  readonly version: number
  readonly within: Timeout
  readonly key?: readonly Key[]
  readonly input?: Schema
  readonly at?: string
}

/** Steps over patterns of events, built one by one; each call gives a workflow with one step more. Made by `workflow()`. */
export class Workflow<Scope = object, Input = never, Output = null> implements Callable<Input, Output> {
  readonly kind = 'workflow'
  readonly name: string
  declare readonly '~scope'?: Scope
  declare readonly '~types'?: { input: (input: Input) => void; output: Output }
  readonly #settings: Settings
  readonly #steps: readonly Step[]
  #built: Definition | undefined
  #program: ProgramDefinition | undefined

  constructor(settings: Settings, steps: readonly Step[] = []) {
    this.name = settings.name
    this.#settings = settings
    this.#steps = steps
  }

  /** Waits until the pattern holds, and keeps what it captures. `within` bounds the wait. */
  when<Captures>(
    name: string,
    watch: Watch<Captures> | ((scope: Ref<Scope>) => Watch<Captures>),
    options: WhenOptions<Scope, NoInfer<Captures>>,
  ): Workflow<Scope & Captures, Input, Output> {
    checkStep('when', this.name, name, options)
    const { pattern } = typeof watch === 'function' ? watch(scope()) : watch
    return this.#with({ kind: 'when', id: name, pattern, within: options.within, ...this.#otherwise(options) })
  }

  /** Calls an agent, a tool or a workflow, and keeps the answer under `name`. */
  call<Name extends string, In, Out, Undo>(
    name: Name,
    target: Callable<In, Out>,
    input: Selector<Scope, Template<NoInfer<In>>>,
    options: CallStepOptions<Scope, Name, Out, Undo> = {},
  ): Workflow<Scope & Kept<Name, Out>, Input, Output> {
    checkStep('call', this.name, name, options)
    const { undo, within = '1d' } = options
    return this.#with({
      kind: 'call',
      id: name,
      as: name,
      target: targetOf(target),
      input: expressionOf(input(scope())),
      within,
      ...(undo && { undo: { target: targetOf(undo.target), input: expressionOf(undo.input(scope())) } }),
      ...this.#otherwise(options),
    })
  }

  /** Calls for each item of a list, some at a time, and keeps the answers in the order of the items. */
  each<Name extends string, In, Out, J extends Joining = 'all'>(
    name: Name,
    items: Selector<Scope, Template<readonly In[]>>,
    target: Callable<In, Out>,
    options?: EachOptions<Scope, J>,
  ): Workflow<Scope & Kept<Name, JoinedOf<J, Out>>, Input, Output>
  each<Name extends string, Item, In, Out, J extends Joining = 'all'>(
    name: Name,
    items: Selector<Scope, Template<readonly Item[]>>,
    target: Callable<In, Out>,
    options: EachOptionsOf<Scope, Item, In, J>,
  ): Workflow<Scope & Kept<Name, JoinedOf<J, Out>>, Input, Output>
  each(name: string, items: Selector<Scope, unknown>, target: Callable<never, unknown>, options: object = {}): never {
    checkStep('each', this.name, name, options)
    const { parallel = 8, join = 'all', within = '1d', input = item => item, otherwise } = options as AnyEachOptions
    return this.#with({
      kind: 'each',
      id: name,
      as: name,
      items: expressionOf(items(scope())),
      target: targetOf(target),
      input: expressionOf(input(standIn(['item']), scope())),
      parallel,
      join,
      within,
      ...this.#otherwise({ otherwise }),
    })
  }

  /** Calls several targets at once, and keeps each answer under its name. The first failure takes the others back. */
  parallel<Targets extends Readonly<Record<string, Callable<never, unknown>>>>(
    name: string,
    targets: Targets,
    inputs: Selector<Scope, Template<NoInfer<InputsOf<Targets>>>>,
    options: ParallelOptions<Scope> = {},
  ): Workflow<Scope & OutputsOf<Targets>, Input, Output> {
    checkStep('parallel', this.name, name, options)
    const { within = '1d' } = options
    return this.#with({
      kind: 'parallel',
      id: name,
      calls: Object.entries(targets).map(([as, target]) => ({ as, target: targetOf(target) })),
      input: expressionOf(inputs(scope())),
      within,
      ...this.#otherwise(options),
    })
  }

  /** Asks people. Who says no makes the step fail: see `otherwise`. */
  approve<Name extends string>(
    name: Name,
    what: Selector<Scope, unknown>,
    options: ApproveOptions<Scope>,
  ): Workflow<Scope & Kept<Name, Approval>, Input, Output> {
    checkStep('approve', this.name, name, options)
    const { who, within, remind } = options
    return this.#with({
      kind: 'approve',
      id: name,
      as: name,
      what: expressionOf(what(scope())),
      within,
      ...(who && { who }),
      ...(remind !== undefined && { remind }),
      ...this.#otherwise(options),
    })
  }

  emit<T>(type: EventType<T>, data: Selector<Scope, Template<NoInfer<T>>>): Workflow<Scope, Input, Output>
  emit(type: string, data: Selector<Scope, unknown>): Workflow<Scope, Input, Output>
  emit(type: Type, data: Selector<Scope, unknown>): Workflow<Scope, Input, Output> {
    const name = typeName(type)
    return this.#with({ kind: 'emit', id: name, type: name, data: expressionOf(data(scope())) })
  }

  /** Starts an agent or a workflow, and does not wait for it. */
  start<In>(
    target: Callable<In, unknown>,
    input: Selector<Scope, Template<NoInfer<In>>>,
  ): Workflow<Scope, Input, Output> {
    const { kind, name } = targetOf(target)
    if (kind === 'tool') throw new TidingsError('E_APP_INVALID', `${this.name}: a tool is called, not started`)
    const data = { fields: { input: expressionOf(input(scope())) } }
    return this.#with({ kind: 'emit', id: `start ${name}`, type: 'agent.invoke', target: name, data })
  }

  /** Waits so long. */
  wait(after: Duration): Workflow<Scope, Input, Output> {
    return this.#with({ kind: 'wait', id: 'wait', until: { after } })
  }

  /** Waits until a moment: RFC 3339, or ms since the epoch. One that is past is now. */
  waitUntil(moment: Selector<Scope, Template<string | number>>): Workflow<Scope, Input, Output> {
    return this.#with({ kind: 'wait', id: 'wait until', until: { moment: expressionOf(moment(scope())) } })
  }

  /** Goes one way or the other. What one of them keeps may be missing later. */
  choose<Then extends AnyWorkflow, Otherwise extends AnyWorkflow = Then>(
    condition: Selector<Scope, Test>,
    then: Block<Scope, Then>,
    otherwise?: Block<Scope, Otherwise>,
  ): Workflow<Scope & Partial<ScopeOf<Then> & ScopeOf<Otherwise>>, Input, Output> {
    return this.#with({
      kind: 'choose',
      id: 'choose',
      condition: conditionOf(condition(scope())),
      steps: this.#block(then),
      otherwise: otherwise ? this.#block(otherwise) : [],
    })
  }

  /** Does the steps, and again until the condition holds; at most so often, then it goes on. */
  repeat<Steps extends AnyWorkflow>(
    name: string,
    steps: Block<Scope, Steps>,
    { until, most }: { until: Selector<ScopeOf<Steps>, Test>; most: number },
  ): Workflow<ScopeOf<Steps>, Input, Output> {
    const condition = conditionOf(until(scope()))
    return this.#with({ kind: 'repeat', id: name, until: condition, most, steps: this.#block(steps) })
  }

  /** Ends the instance. */
  complete<T>(output: Selector<Scope, T>): Workflow<Scope, Input, Given<T>> {
    return this.#with({ kind: 'complete', id: 'complete', output: expressionOf(output(scope())) })
  }

  /** Ends the instance as failed, after undoing what can be undone. */
  fail(message: Selector<Scope, Template<string>>): Workflow<Scope, Input, Output> {
    return this.#with({ kind: 'fail', id: 'fail', message: expressionOf(message(scope())) })
  }

  /** The workflow as data. @throws E_APP_INVALID */
  get data(): Definition {
    const { name, version, within, key, input } = this.#settings
    this.#built ??= checked({
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

  /** The steps and how they follow on each other, as data. */
  toGraph(): Graph {
    return toGraph(this.data)
  }

  /** What the engine hosts. */
  get definition(): ProgramDefinition {
    const { at, input } = this.#settings
    return (this.#program ??= workflowProgram(this.data, { ...(at && { at }), ...(input && { input }) }))
  }

  #with(step: Step): never {
    return new Workflow(this.#settings, [...this.#steps, step]) as never
  }

  #otherwise({ otherwise }: { otherwise?: unknown }) {
    return otherwise ? { otherwise: this.#block(otherwise) } : {}
  }

  #block(block: unknown): readonly Step[] {
    return (block as (steps: Workflow) => Workflow)(new Workflow(this.#settings)).#steps
  }
}

type AnyEachOptions = Partial<EachOptionsOf<never, never, unknown, Joining>>

const scope = () => standIn([])

function targetOf({ kind, name }: Callable<never, unknown>): Target {
  if (kind === 'agent' || kind === 'tool' || kind === 'workflow') return { kind, name }
  throw new TidingsError('E_APP_INVALID', `a workflow calls agents, tools and workflows; ${name} is a ${kind}`)
}

/**
 * Steps over patterns of events. An instance begins with the first event that one of its patterns waits for.
 * @throws E_APP_INVALID
 */
export function workflow<const T extends Type | readonly Type[]>(
  name: string,
  options: OnOptions<T>,
): Workflow<{ readonly event: DataOf<T extends readonly (infer One)[] ? One : T> }>
export function workflow<Input>(name: string, options: InputOptions<Input>): Workflow<{ readonly event: Input }, Input>
export function workflow(name: string, options: Common): Workflow
export function workflow(
  name: string,
  given: Partial<Common> & { within: Timeout; on?: Type | readonly Type[]; input?: Schema },
): unknown {
  checkWorkflow(name, given)
  const { version = 1, ...options } = given
  const at = sourceLocation(new Error().stack)
  const { on: begins, ...settings } = options
  const empty = new Workflow({ ...settings, name, version, ...(at && { at }) })
  if (begins === undefined) return empty
  const types = (Array.isArray(begins) ? begins : [begins]) as readonly Type[]
  const started = types.map(type => on(type).as('event'))
  return empty.when('event', started.length === 1 ? started[0]! : any(...started), { within: options.within })
}
