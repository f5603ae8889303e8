import { failure, type ErrorCode, type ErrorData } from '../errors.ts'
import { jsonSchema, validateNow, type Schema } from '../schema.ts'
import {
  definitionKey,
  endOf,
  type MessageRef,
  type ModelDefinition,
  type ModelRequest,
  type ModelResult,
  type ModelToolCall,
} from '../tasks/conversation.ts'
import type { Timeout } from '../tasks/duration.ts'
import type { Program, TurnContext } from '../tasks/program.ts'
import { digest } from '../tasks/turn.ts'
import type { Callable } from '../tasks/script.ts'
import { canContinue, defaultRules, unfinished, type FinishRules, type Unfinished } from './finish.ts'

/*
 * The loop of an LLM agent as a program:
 *
 *     start ─▶ model.invoke ─▶ model.result ─┬─ tool calls ─▶ tool.invoke × n ─▶ all answered ─▶ model.invoke ─▶ …
 *                                            ├─ invalid output ─▶ note with the problem ─▶ model.invoke
 *                                            ├─ cut off or empty ─▶ note to continue ─▶ model.invoke
 *                                            ├─ filtered, refused, … ─▶ failed
 *                                            └─ answer ─▶ completed
 *
 * The state contains only references, and of the conversation only those since the last request, so that it stays small.
 */

/** A tool as the loop needs it. `tool()` returns one. */
export interface LoopTool extends Callable<never, unknown> {
  readonly kind: 'tool'
  readonly options: {
    readonly description: string
    readonly input: Schema
    readonly readOnly?: boolean
    readonly atMostOnce?: boolean
  }
}

export interface LoopOptions {
  /** Name under which the model is addressed. */
  model: string
  definition: string
  tools?: readonly LoopTool[]
  output?: Schema
  maxSteps?: number
  window?: number
  within?: Timeout
  finish?: FinishRules
}

interface LoopState {
  /** The last model.invoke. */
  prev: string | null
  /** Messages since then. */
  fresh: MessageRef[]
  /** Tool calls under way: call id → what the model calls it. */
  open: Record<string, { toolCallId: string; toolName: string }>
  steps: number
  /** Answers in a row that did not fit the output schema. */
  misfits: number
  /** Answers in a row that were cut off or empty. */
  unfinished?: number
  /** The text of an answer that was cut off, as far as it has come. */
  partial?: string
}

const maxMisfits = 2
const maxContinues = 3
const defaultSteps = 32
const defaultWindow = 200

/** The document that an agent's requests refer to, and its key. */
export function describeLoop(
  { instructions, tools = [], output }: { instructions: string; tools?: readonly LoopTool[]; output?: Schema },
  agent: string,
) {
  const document: ModelDefinition = {
    instructions,
    tools: tools.map(tool => ({
      name: modelToolName(tool.name),
      description: tool.options.description,
      input: jsonSchema(tool.options.input, `tool "${tool.name}" of ${agent}`),
    })),
    ...(output && { output: jsonSchema(output, `the output of ${agent}`) }),
  }
  return { document, key: definitionKey(digest(document)) }
}

// Providers accept letters, digits, _ and - in names of tools.
export const modelToolName = (name: string) => name.replaceAll('.', '_')

export function modelLoop(options: LoopOptions): Program<LoopState> {
  const { model, definition, output, within, maxSteps = defaultSteps, window = defaultWindow } = options
  const rules = { ...defaultRules, ...options.finish }
  const tools = new Map((options.tools ?? []).map(tool => [modelToolName(tool.name), tool.name]))
  const available = [...tools.keys()].join(', ') || 'none'
  const bound = within !== undefined && { within }

  const ask = (state: LoopState, ctx: TurnContext, more: readonly MessageRef[] = []) => {
    if (state.steps >= maxSteps)
      return ctx.fail(failure('E_AGENT_STEPS', `no answer after ${maxSteps} model calls (maxSteps)`))
    const data: ModelRequest = {
      definition,
      prev: state.prev,
      messages: [...state.fresh, ...more],
      first: { role: 'user', event: ctx.start.id },
      window,
    }
    ctx.call({ type: 'model.invoke', target: model, data, ...bound })
  }

  /** Makes the tool calls of the model. Invalid ones fail at once, and the model gets the error. */
  const callTools = (result: ModelResult, state: LoopState, ctx: TurnContext) => {
    const failed: MessageRef[] = []
    let called = 0
    for (const call of result.toolCalls) {
      const { toolCallId, toolName, input } = call
      const target = tools.get(toolName)
      const error = target
        ? problemOf(call)
        : failure('E_TOOL_UNKNOWN', `unknown tool "${toolName}"; available tools: ${available}`)
      if (error) {
        const event = ctx.emit({ type: 'tool.failed', data: { error, toolCallId, toolName } })
        failed.push({ role: 'tool', event, toolCallId, toolName })
      } else {
        ctx.call({ type: 'tool.invoke', target: target!, data: { input, toolCallId }, ...bound })
        called++
      }
    }
    if (called === 0) ask(state, ctx, failed)
  }

  const note = (state: LoopState, ctx: TurnContext, data: { text: string; code?: ErrorCode }) =>
    ask(state, ctx, [{ role: 'user', event: ctx.emit({ type: 'agent.noted', data }) }])

  const answer = (text: string, state: LoopState, ctx: TurnContext) => {
    if (!output) return ctx.complete(text)
    const parsed = parseOutput(output, text)
    if ('value' in parsed) return ctx.complete(parsed.value)
    if (state.misfits >= maxMisfits) return ctx.fail(failure('E_MODEL_OUTPUT', parsed.problem))
    note(state, ctx, { text: `That does not fit the schema: ${parsed.problem}. Answer again, with JSON only.` })
  }

  /** Follows the `finish` rules of the agent: fails, accepts the answer, or asks for the rest. */
  const handleUnfinished = (end: Unfinished, result: ModelResult, state: LoopState, ctx: TurnContext) => {
    const { text, toolCalls } = result
    // Asked to go on, it had nothing to add.
    if (end === 'empty' && state.partial !== undefined) return ctx.complete(state.partial)
    const times = state.unfinished ?? 0
    const isOver = times > maxContinues || !canContinue(end, result)
    if (rules[end] === 'fail' || (rules[end] === 'continue' && isOver))
      return ctx.fail(unfinished(end, result, times).toJSON())
    if (toolCalls.length > 0) return callTools(result, state, ctx)
    // What was cut off is joined already.
    const joined = end === 'length' ? (state.partial ?? text) : (state.partial ?? '') + text
    if (rules[end] === 'accept') return answer(joined, state, ctx)
    if (end === 'empty') return note(state, ctx, { text: emptyNote, code: 'E_MODEL_EMPTY' })
    if (output && 'value' in parseOutput(output, text)) return answer(text, state, ctx)
    note(state, ctx, { text: output ? shorterNote : continueNote, code: 'E_MODEL_LENGTH' })
  }

  return {
    init: start => ({ prev: null, fresh: [{ role: 'user', event: start.id }], open: {}, steps: 0, misfits: 0 }),

    evolve(state, event) {
      const call = event.call !== undefined ? state.open[event.call] : undefined
      if (call) {
        delete state.open[event.call!]
        state.fresh.push({ role: 'tool', event: event.id, ...call })
      } else if (event.type === 'model.invoke') {
        state.prev = event.id
        state.fresh = []
        state.steps++
      } else if (event.type === 'model.result') {
        const result = event.data as ModelResult
        state.fresh.push({ role: 'assistant', event: event.id })
        state.misfits = result.toolCalls.length > 0 ? 0 : state.misfits
        countEnd(state, result, !output)
      } else if (event.type === 'tool.invoke') {
        const { toolCallId } = event.data as { toolCallId: string }
        state.open[event.id] = { toolCallId, toolName: modelToolName(event.target!) }
      } else if (event.type === 'tool.failed') {
        // Failed before it was called, in a turn of this task.
        const { toolCallId, toolName } = event.data as { toolCallId: string; toolName: string }
        state.fresh.push({ role: 'tool', event: event.id, toolCallId, toolName })
      } else if (event.type === 'agent.noted' && !(event.data as { code?: string }).code) state.misfits++
      return state
    },

    decide(state, inputs, ctx) {
      for (const { type, data, call } of inputs) {
        if (type === 'model.failed' || (type === 'call.expired' && call === state.prev))
          return ctx.fail((data as { error: ErrorData }).error)
        if (type === 'model.result') {
          const result = data as ModelResult
          const end = endOf(result)
          if (end !== 'whole' && end !== 'paused') return handleUnfinished(end, result, state, ctx)
          if (result.toolCalls.length > 0) return callTools(result, state, ctx)
          return end === 'paused' ? ask(state, ctx) : answer((state.partial ?? '') + result.text, state, ctx)
        }
      }
      if (Object.keys(state.open).length === 0) ask(state, ctx)
    },
  }
}

const continueNote =
  'Your answer was cut off at the limit of output tokens. Go on exactly where it stopped: repeat nothing, and say nothing about it.'
const shorterNote =
  'Your answer was cut off at the limit of output tokens. Answer again from the beginning and shorter, with JSON only.'
const emptyNote = 'Your last answer was empty. Answer now, or call a tool.'

/** Why a call cannot be made. */
function problemOf({ toolName, malformed, cut }: ModelToolCall): ErrorData | undefined {
  if (malformed === undefined) return undefined
  if (!cut) return failure('E_TOOL_INPUT', `the arguments are not JSON: ${malformed.slice(0, 200)}`)
  return failure(
    'E_MODEL_LENGTH',
    `the arguments of ${toolName} were cut off at the limit of output tokens, after ${malformed.length} characters, and it was not called; call it again with less, or several times`,
  )
}

/** Counts the answers that were cut off or empty, and joins the texts of those. State that has none stays as it was. */
function countEnd(state: LoopState, result: ModelResult, joins: boolean) {
  const end = endOf(result)
  if (end === 'length' || end === 'empty') state.unfinished = (state.unfinished ?? 0) + 1
  else delete state.unfinished
  if (result.toolCalls.length > 0) delete state.partial
  else if (end === 'length' && joins) state.partial = (state.partial ?? '') + result.text
}

function parseOutput(schema: Schema, text: string): { value: unknown } | { problem: string } {
  // Models without a JSON mode like to wrap it.
  const json = /```(?:json)?\s*([\s\S]*?)```/.exec(text)?.[1] ?? text
  try {
    return validateNow(schema, JSON.parse(json))
  } catch (error) {
    return { problem: (error as Error).message }
  }
}
