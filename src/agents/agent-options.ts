import type { LanguageModelV4 } from '@ai-sdk/provider'
import type { CloudEvent } from '../event.ts'
import type { Schema } from '../schema.ts'
import type { MessagePart } from '../tasks/conversation.ts'
import type { Timeout } from '../tasks/duration.ts'
import type { ModelSettings } from '../tasks/model-settings.ts'
import type { Program } from '../tasks/program.ts'
import type { ScriptContext } from '../tasks/script-context.ts'
import type { FinishRules } from './finish.ts'
import type { GuardOptions } from './guard.ts'
import type { CallInput, StartData, StartEvent, StartsOn } from './input.ts'
import type { ModelTool } from './loop-tools.ts'

/* The options of the three forms of an agent: the tool loop of a model, straight-line code, and three pure functions. */

/** What every form of an agent has. */
export interface CommonAgentOptions {
  /**
   * Events that start a task, in addition to calls by name: types, or patterns such as `order.*`. An event whose data does not match the
   * schema of its type fails the task with E_EVENT_INVALID, before any code of the agent runs.
   */
  on?: StartsOn | readonly StartsOn[]
  /** Schema of the input of calls by name. A call that does not match fails with E_AGENT_INPUT. Default: the schemas of `on`. */
  input?: Schema
  /**
   * The maximum number of its tasks that have not ended. At that number `ask` and the gateway refuse further requests with E_BUSY, because a
   * longer queue would make answers too late to be useful. Calls of other agents and events are not refused. Default: no limit.
   */
  maxUnfinished?: number
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
export type AnyModelAgentOptions = Omit<ModelAgentOptions<unknown>, 'on' | 'input'> & CommonAgentOptions

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
