import { TidingsError } from '../errors.ts'
import type { AnyEventType, CloudEvent } from '../event.ts'
import type { Redactor } from '../bus/redact.ts'
import { assertName } from '../pattern.ts'
import { checkOptions, describeValue, invalidAt } from '../options.ts'
import type { Schema } from '../schema.ts'
import { inputOf, ProgramMachine, type Program, type ProgramDefinition } from '../tasks/program.ts'
import { sourceLocation } from '../stack.ts'
import { messageType } from '../tasks/asked.ts'
import { modelName, type ModelDefinition, type PromptedData } from '../tasks/conversation.ts'
import { ScriptMachine } from '../tasks/script.ts'
import type { Callable, Script } from '../tasks/script-context.ts'
import { digest } from '../tasks/turn.ts'
import type {
  AnyModelAgentOptions,
  CommonAgentOptions,
  ModelAgentOptions,
  ModelLike,
  ProgramAgentOptions,
  ScriptAgentOptions,
  TypedAgentOptions,
} from './agent-options.ts'
import { describeLoop } from './describe-loop.ts'
import {
  eventTypesIn,
  isHandedOver,
  startCheck,
  unlessHandedOver,
  type CallInput,
  type StartCheck,
  type StartsOn,
} from './input.ts'
import { offeredTools, type ModelTool } from './loop-tools.ts'
import { modelLoop } from './model-loop.ts'
import { formOf } from './option-checks.ts'

/** What `agent()` returns. Pass it to `app({ use })`, and to `ctx.call` or the `tools` of another agent. */
export interface Agent<Input = unknown, Output = unknown> extends Callable<Input, Output> {
  readonly kind: 'agent'
  readonly definition: ProgramDefinition
  readonly description?: string
  /** The event types that it declares. */
  readonly events: readonly AnyEventType[]
  /** Schema of the input of calls. */
  readonly input?: Schema
  readonly maxUnfinished?: number
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
  const { description, maxUnfinished } = options
  const awaited: readonly StartsOn[] = ('run' in options && options.waitsFor) || []
  const waitsFor = awaited.map(typeNameOf)
  const events = eventTypesIn([...on, ...awaited])
  const input = options.input ?? (on.length === 1 ? eventTypesIn(on)[0]?.schema : undefined)
  const more = {
    ...(description !== undefined && { description }),
    ...(maxUnfinished !== undefined && { maxUnfinished }),
    ...(input && { input }),
  }
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
      ...(prompt && !isHandedOver(start) && { message: prompt(dataOf(start), start) }),
    }
  }
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

const typeNameOf = (each: StartsOn) => (typeof each === 'string' ? each : each.type)
