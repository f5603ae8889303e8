import type { LanguageModelV4 } from '@ai-sdk/provider'
import { TidingsError } from '../errors.ts'
import type { AnyEventType, CloudEvent } from '../event.ts'
import type { Redactor } from '../bus/redact.ts'
import { assertName, isType, isTypePattern } from '../pattern.ts'
import {
  aTimeout,
  aCount,
  aFlag,
  aFunction,
  aList,
  anything,
  aSchema,
  aText,
  checkOptions,
  invalidAt,
  oneOf,
  optionsOf,
  describeValue,
  type Check,
} from '../options.ts'
import type { Schema } from '../schema.ts'
import type { Timeout } from '../tasks/duration.ts'
import { settingChecks, type ModelSettings } from '../tasks/model-settings.ts'
import { inputOf, ProgramMachine, type Program, type ProgramDefinition } from '../tasks/program.ts'
import { sourceLocation } from '../stack.ts'
import { messageType } from '../tasks/asked.ts'
import { ScriptMachine } from '../tasks/script.ts'
import type { Callable, Script, ScriptContext } from '../tasks/script-context.ts'
import { digest } from '../tasks/turn.ts'
import type { FinishRules } from './finish.ts'
import {
  eventTypesIn,
  startCheck,
  unlessHandedOver,
  type CallInput,
  type StartCheck,
  type StartData,
  type StartEvent,
  type StartsOn,
} from './input.ts'
import type { GuardOptions } from './guard.ts'
import { offeredTools, type ModelTool } from './loop-tools.ts'
import { describeLoop } from './describe-loop.ts'
import { modelLoop } from './model-loop.ts'
import { modelName, type MessagePart, type ModelDefinition, type PromptedData } from '../tasks/conversation.ts'

interface CommonAgentOptions {
  /**
   * Events that start a task, in addition to calls by name: types, or patterns such as `order.*`. An event whose data does not match the
   * schema of its type fails the task with E_EVENT_INVALID, before any code of the agent runs.
   */
  on?: StartsOn | readonly StartsOn[]
  /** Schema of the input of calls by name. A call that does not match fails with E_AGENT_INPUT. Default: the schemas of `on`. */
  input?: Schema
  /** Raise it when the code can no longer replay recorded tasks. Default 1. */
  version?: number
  /** Tells the models of other agents, whose `tools` contain this one, what it does and when to call it. */
  description?: string
}

// oxlint-disable typescript/no-explicit-any -- without schemas, the author of the agent names the type of its input
/** The output side of the schemas that a model agent declares. */
type ModelInput<On, Parsed> = [On, Parsed] extends [never, never]
  ? any
  : unknown extends StartData<On, Parsed>
    ? any
    : StartData<On, Parsed>
// oxlint-enable typescript/no-explicit-any
type FromInput<Input, Result> = (input: Input, start: CloudEvent) => Result

/** The tool loop of an LLM agent. */
export interface ModelAgentOptions<Output, On = never, Parsed = never, Given = unknown>
  extends CommonAgentOptions,
    ModelSettings {
  on?: On & (StartsOn | readonly StartsOn[])
  input?: Schema<Parsed, Given>
  model: ModelLike
  /** What the model shall do: a text, or a function of the input of the task that returns one. It must be pure. */
  instructions: string | FromInput<ModelInput<On, Parsed>, string>
  /** Makes the first message from the input: a text, parts with files, or any JSON. It must be pure. Default: the input. */
  prompt?: FromInput<ModelInput<On, Parsed>, string | readonly (string | MessagePart)[] | object>
  /** What the model may call: tools, agents, workflows that have an input, and hand-overs of the conversation. */
  tools?: readonly ModelTool[]
  /** Schema of the answer. Default: the answer is text. */
  output?: Schema<Output>
  /**
   * How the model is told the schema of `output`. `schema`: as the response format of its provider. `tool`: as the input of a tool `final_answer`,
   * for providers without such a format, or that do not combine it with tools. Default `schema`.
   */
  outputMode?: 'schema' | 'tool'
  /** Maximum number of model calls of one task. Default 32. */
  maxSteps?: number
  /** Maximum number of messages that a model call gets: the newest ones. Default 200. */
  window?: number
  /**
   * If a request and its answer had more tokens than this, the model is asked for a summary first. The conversation goes on with the first message, the
   * summary and the newest step. Default: no limit.
   */
  maxContextTokens?: number
  /** Maximum wait for one answer of a tool or model. Default one day. */
  within?: Timeout
  /** What to do when the model stops before its answer is complete. */
  finish?: FinishRules
  /** `false`: the calls of one step are made one after the other, in the order of the model. Default `true`. */
  parallelTools?: boolean
  /** What the first request of a task must call: this entry of `tools`, or `required`: any. Later requests are free. */
  toolChoice?: 'required' | ModelTool
  /** Tools, agents or workflows that check messages and answers: they allow, rewrite or refuse them. */
  guard?: GuardOptions
  /** Asks the provider to cache instructions, tools and conversation. Only Anthropic needs it. */
  cache?: boolean
}

/** Of any types. */
type AnyModelAgentOptions = Omit<ModelAgentOptions<unknown>, 'on' | 'input'> & CommonAgentOptions

/** Straight-line code, durable: only `ctx` may be awaited. */
export interface ScriptAgentOptions<Input, Output> extends CommonAgentOptions {
  /** Names of event types, or patterns, whose data is not checked. */
  on?: string | readonly string[]
  input?: never
  run(ctx: ScriptContext, input: Input): Promise<Output> | Output
  /** Types of the events that the code waits for with `ctx.waitFor`. */
  waitsFor?: readonly StartsOn[]
  /** Maximum number of turns, after which the code must have called `continueAs`. Default 2,000. */
  maxTurns?: number
}

/** Straight-line code that starts on declared event types, or whose input has a schema: `run` gets what the schema makes of the data. */
export interface TypedAgentOptions<On, Output, Parsed, Given> extends CommonAgentOptions {
  on?: On & (StartsOn | readonly StartsOn[])
  input?: Schema<Parsed, Given>
  /** Types of the events that the code waits for with `ctx.waitFor`. */
  waitsFor?: readonly StartsOn[]
  /** A function property, so that the compiler compares its parameters strictly. */
  run: (
    ctx: ScriptContext<StartEvent<On>, CallInput<On, Parsed, Given>>,
    data: StartData<On, Parsed>,
  ) => Promise<Output> | Output
  maxTurns?: number
}

/** The bare form: three pure functions. */
export interface ProgramAgentOptions<State> extends CommonAgentOptions, Program<State> {}

/** A model object, or one with limits and prices from `model()`. Never a bare string: that would go to a hosted gateway. */
export type ModelLike =
  | LanguageModelV4
  | {
      readonly kind: 'model'
      readonly name: string
      readonly languageModel: LanguageModelV4
      readonly options?: ModelSettings
    }

/** What `agent()` returns. Pass it to `app({ use })`, and to `ctx.call` or the `tools` of another agent. */
export interface Agent<Input = unknown, Output = unknown> extends Callable<Input, Output> {
  readonly kind: 'agent'
  readonly definition: ProgramDefinition
  readonly description?: string
  /** The event types that it declares. */
  readonly events: readonly AnyEventType[]
  /** Schema of the input of calls. */
  readonly input?: Schema
  /** What a model agent needs: its model, its tools, and the definition document of its requests. */
  readonly needs?: {
    readonly model: ModelLike
    readonly tools: readonly ModelTool[]
    readonly document: ModelDefinition
    readonly key: string
  }
}

/**
 * Declares an agent. Every worker whose app uses it hosts it.
 *
 * @example
 * const paid = event('order.paid', z.object({ order: z.string(), amount: z.number() }))
 * const clerk = agent('clerk', {
 *   on: paid,
 *   async run(ctx, { order, amount }) {
 *     await ctx.call(charge, { order, amount })
 *     ctx.emit(booked, { order, amount })
 *   },
 * })
 * @throws E_APP_INVALID
 */
export function agent<State>(name: string, options: ProgramAgentOptions<State>): Agent
export function agent<
  Output = string,
  const On extends StartsOn | readonly StartsOn[] = never,
  Parsed = never,
  Given = unknown,
>(
  name: string,
  options: ModelAgentOptions<Output, On, Parsed, Given>,
): Agent<[On, Parsed] extends [never, never] ? unknown : CallInput<On, Parsed, Given>, Output>
export function agent<Input = unknown, Output = unknown>(
  name: string,
  options: ScriptAgentOptions<Input, Output>,
): Agent<Input, Output>
export function agent<Output, const On extends StartsOn | readonly StartsOn[] = never, Parsed = never, Given = unknown>(
  name: string,
  options: TypedAgentOptions<On, Output, Parsed, Given>,
): Agent<CallInput<On, Parsed, Given>, Output>
export function agent(
  name: string,
  options:
    | (CommonAgentOptions & { run: Script; waitsFor?: readonly StartsOn[]; maxTurns?: number })
    | ProgramAgentOptions<unknown>
    | AnyModelAgentOptions,
): Agent<never, unknown> {
  assertName(name, 'an agent name')
  checkOptions(`agent "${name}"`, options, ...formOf(options))
  const at = sourceLocation(new Error().stack)
  const on: readonly StartsOn[] = [options.on ?? []].flat()
  const check = startCheck({ name, on, input: options.input })
  const types = on.map(typeNameOf)
  const shared = { name, version: options.version ?? 1, on: types, ...(at && { at }) }
  const { description } = options
  const awaited: readonly StartsOn[] = ('run' in options && options.waitsFor) || []
  const waitsFor = awaited.map(typeNameOf)
  const events = eventTypesIn([...on, ...awaited])
  const input = options.input ?? (on.length === 1 ? eventTypesIn(on)[0]?.schema : undefined)
  const more = { ...(description !== undefined && { description }), ...(input && { input }) }
  const named = { kind: 'agent', name, events, ...more } as const
  if ('run' in options) {
    const { run, maxTurns = 2_000 } = options
    // Messages are addressed to a task, and reach no other one.
    const offered = waitsFor.filter(type => type !== messageType)
    const machine = (start: CloudEvent, redactor: Redactor) =>
      new ScriptMachine({ name, run, maxTurns, check, waitsFor, redactor }, start)
    return {
      ...named,
      definition: { ...shared, hash: digest(String(run)), machine, waitsFor: offered, isScript: true },
    }
  }
  if ('decide' in options) {
    const hash = digest([options.init, options.evolve, options.decide].map(String))
    return { ...named, definition: { ...shared, hash, machine: programMachine(options, check) } }
  }
  if (typeof options.model !== 'object' || options.model === null)
    throw invalidAt(
      `agent "${name}"`,
      'the option "model" must be a model object, such as openai(\'…\') or offlineModel()',
    )
  const tools = offeredTools(
    options.tools ?? [],
    `agent "${name}"`,
    options.outputMode === 'tool' ? options.output : undefined,
  )
  const { toolChoice, model } = options
  if (toolChoice !== undefined && toolChoice !== 'required' && !options.tools?.includes(toolChoice))
    throw invalidAt(`agent "${name}"`, 'the option "toolChoice" must be "required" or one of `tools`')
  const settings = [...('kind' in model && model.options ? [model.options] : []), options]
  const { instructions, prompt } = options
  const fixed = typeof instructions === 'string' ? instructions : ''
  const { document, key } = describeLoop({ ...options, instructions: fixed, tools, settings }, `agent "${name}"`)
  const loopCheck = check && unlessHandedOver(check)
  const prepare = preparation(options, loopCheck ?? inputOf)
  const program = modelLoop({ ...options, tools, model: modelName(options.model), definition: key, prepare })
  const code = [instructions, prompt].filter(each => typeof each === 'function').map(String)
  return {
    ...named,
    definition: {
      ...shared,
      hash: digest([document, modelName(options.model), ...code]),
      machine: programMachine(program, loopCheck),
      isBuiltIn: true,
    },
    needs: {
      model: options.model,
      tools: [...(options.tools ?? []), ...Object.values(options.guard ?? {})],
      document,
      key,
    },
  }
}

/** What depends on the input of a task. Recorded when the task begins. */
function preparation({ instructions, prompt }: AnyModelAgentOptions, dataOf: StartCheck) {
  if (typeof instructions !== 'function' && !prompt) return undefined
  return (start: CloudEvent): PromptedData => {
    const own = typeof instructions === 'function' ? instructions(dataOf(start), start) : undefined
    if (typeof instructions === 'function' && typeof own !== 'string')
      throw new TidingsError('E_PROGRAM_FAILED', `instructions() returned ${describeValue(own)}, not a text`)
    return {
      ...(own !== undefined && { instructions: own }),
      ...(prompt && { message: prompt(dataOf(start), start) }),
    }
  }
}

const common = { on: aTypePattern, input: aSchema, version: aCount, description: aText } satisfies Record<
  keyof CommonAgentOptions,
  Check
>

const scriptChecks = { ...common, run: aFunction, waitsFor: typesOnly, maxTurns: aCount } satisfies Record<
  keyof ScriptAgentOptions<never, unknown>,
  Check
>

const programChecks = { ...common, init: aFunction, evolve: aFunction, decide: aFunction } satisfies Record<
  keyof ProgramAgentOptions<unknown>,
  Check
>

const modelChecks = {
  ...common,
  model: anything,
  instructions: value => (typeof value === 'function' ? undefined : aText(value)),
  prompt: aFunction,
  tools: toolsOf,
  output: aSchema,
  outputMode: oneOf('schema', 'tool'),
  maxSteps: aCount,
  window: aCount,
  maxContextTokens: aCount,
  within: aTimeout,
  parallelTools: aFlag,
  toolChoice: anything,
  cache: aFlag,
  guard: optionsOf({ input: aGuard, output: aGuard } satisfies Record<keyof GuardOptions, Check>),
  ...settingChecks,
  finish: optionsOf({
    length: oneOf('continue', 'fail', 'accept'),
    empty: oneOf('continue', 'fail', 'accept'),
    filtered: oneOf('fail', 'accept'),
    refused: oneOf('fail', 'accept'),
    other: oneOf('fail', 'accept'),
  } satisfies Record<keyof FinishRules, Check>),
} satisfies Record<keyof ModelAgentOptions<unknown>, Check>

/** The checks and required options for the form of an agent. */
function formOf(options: object): [Readonly<Record<string, Check>>, readonly string[]] {
  if ('run' in options) return [scriptChecks, ['run']]
  if ('decide' in options) return [programChecks, ['init', 'evolve', 'decide']]
  if (['model', 'instructions', 'tools', 'output'].some(name => name in options)) return [modelChecks, ['instructions']]
  // The form is unknown, so a misspelt option may belong to any.
  return [{ ...programChecks, ...modelChecks, ...scriptChecks }, ['run']]
}

function aGuard(value: unknown): string | undefined {
  const { kind } = (value ?? {}) as { kind?: unknown }
  return kind === 'tool' || kind === 'agent' || kind === 'workflow'
    ? undefined
    : `must be what tool(), agent() or workflow() gives, not ${describeValue(value)}`
}

function toolsOf(value: unknown): string | undefined {
  const problem = aList(value)
  if (problem !== undefined) return problem
  const kinds: unknown[] = ['tool', 'agent', 'workflow', 'handover'] satisfies ModelTool['kind'][]
  const wrong = (value as unknown[]).findIndex(
    each => !kinds.includes((each as { kind?: unknown } | null | undefined)?.kind),
  )
  if (wrong < 0) return undefined
  return `must be a list of what tool(), agent(), workflow() or handover() gives; its entry ${wrong} is something else`
}

function programMachine<State>(program: Program<State>, check?: StartCheck): ProgramDefinition['machine'] {
  const checked: Program<State> = check
    ? {
        init: start => (check(start), program.init(start)),
        evolve: (state, event) => program.evolve(state, event),
        decide: (state, inputs, ctx) => program.decide(state, inputs, ctx),
      }
    : program
  return (start, redactor, snapshot) => new ProgramMachine({ program: checked, start, redactor, snapshot })
}

function typesOnly(value: unknown): string | undefined {
  const isList = Array.isArray(value) && value.every(each => isType((each as AnyEventType | null)?.type ?? each))
  return isList ? undefined : 'must be a list of event types, which are no patterns'
}

const typeNameOf = (each: StartsOn) => (typeof each === 'string' ? each : each.type)

function aTypePattern(value: unknown): string | undefined {
  const list = [value].flat()
  const wrong = list.findIndex(each => !isTypePattern((each as { type?: unknown } | null | undefined)?.type ?? each))
  if (wrong < 0) return undefined
  return `must be types of events or patterns such as "order.*", not ${describeValue(list[wrong])}`
}
