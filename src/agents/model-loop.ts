import { failure, type ErrorCode, type ErrorData } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import { validateNow, type Schema } from '../schema.ts'
import {
  endOf,
  promptedType,
  userContent,
  type EarlierConversation,
  type MessageRef,
  type ModelRequest,
  type ModelResult,
  type ModelToolCall,
  type PromptedData,
} from '../tasks/conversation.ts'
import type { Timeout } from '../tasks/duration.ts'
import { taskId } from '../bus/ids.ts'
import { messageType } from '../tasks/asked.ts'
import { modelToolName } from '../tasks/offered-input.ts'
import { callOutcome } from '../tasks/outcome.ts'
import { inputOf, type Program, type TurnContext } from '../tasks/program.ts'
import type { LoopTurn } from '../tasks/turn.ts'
import { uiTarget, uiToolsIn } from '../tasks/ui-tools.ts'
import { canContinue, defaultRules, unfinished, type FinishRules, type Unfinished } from './finish.ts'
import { guardRequest, verdictOf, type GuardOptions } from './guard.ts'
import { answerTool, type OfferedTool } from './loop-tools.ts'
import {
  addMessage,
  beginLoop,
  firstOf,
  foldIntoLoop,
  guarding,
  hasTaken,
  hasUnread,
  isAsking,
  isGuarded,
  minChain,
  takePrompt,
  type LoopState,
} from './loop-state.ts'

/*
 * The loop of an LLM agent as a program:
 *
 *     start ─▶ model.invoke ─▶ model.result ─┬─ tool calls ─▶ tool.invoke, agent.invoke × n ─▶ all answered ─▶ model.invoke ─▶ …
 *                                            ├─ hand-over ─▶ agent.invoke ─▶ its answer completes the task
 *                                            ├─ invalid output ─▶ note with the problem ─▶ model.invoke
 *                                            ├─ cut off or empty ─▶ note to continue ─▶ model.invoke
 *                                            ├─ filtered, refused, … ─▶ failed
 *                                            └─ answer ─▶ completed
 *
 * Where the conversation has too many tokens, the model is asked for a summary first, and a new chain of requests begins with it.
 * A further message of the user (`agent.message`) is part of the next request. If a final answer did not know it, the model is asked again.
 * The state contains only references, and of the conversation only those since the last request, so that it stays small.
 */

export interface LoopOptions {
  /** Name under which the model is addressed. */
  model: string
  definition: string
  tools: readonly OfferedTool[]
  output?: Schema
  maxSteps?: number
  window?: number
  within?: Timeout
  finish?: FinishRules
  parallelTools?: boolean
  /** The tool that the first request must call; `required`: any. */
  toolChoice?: 'required' | { readonly name: string }
  maxContextTokens?: number
  guard?: GuardOptions
  /** What the task begins with, if it depends on its input. */
  prepare?: ((start: CloudEvent) => PromptedData) | undefined
}

const maxMisfits = 2
const maxContinues = 3
const defaultSteps = 32
const defaultWindow = 200

export function modelLoop(options: LoopOptions): Program<LoopState> {
  const { model, definition, output, within, maxSteps = defaultSteps, window = defaultWindow } = options
  const { parallelTools = true, toolChoice, prepare, maxContextTokens = Infinity } = options
  const { guard = {} } = options
  const rules = { ...defaultRules, ...options.finish }
  const tools = new Map(options.tools.map(tool => [tool.name, tool]))
  const hasAnswerTool = tools.get(answerTool)?.answer !== undefined
  const available = [...tools.keys()].join(', ') || 'none'
  const bound = within !== undefined && { within }

  const ask = (state: LoopState, ctx: TurnContext, more: readonly MessageRef[] = []) => {
    if (isGuarded(state)) return
    if (state.steps >= maxSteps)
      return ctx.fail(failure('E_AGENT_STEPS', `no answer after ${maxSteps} model calls (maxSteps)`))
    const isTooLong = (state.tokens ?? 0) > maxContextTokens && (state.chain ?? 0) >= minChain
    // A summary may come before it.
    const isFirst = state.steps === (state.summarized === undefined ? 0 : 1)
    const noted = isTooLong ? ctx.emit({ type: 'agent.noted', data: { text: summaryNote, summary: true } }) : undefined
    const data: ModelRequest = {
      definition,
      prev: state.prev,
      messages: [
        ...more.reduce(addMessage, state.fresh),
        ...(noted === undefined ? [] : [{ role: 'user', event: noted } as const]),
      ],
      first: firstOf(state, ctx),
      window,
      ...(state.instructions !== undefined && { instructions: state.instructions }),
      ...(uiToolsIn(ctx.start).length > 0 && { tools: ctx.start.id }),
      ...(toolChoice && isFirst && !isTooLong && { toolChoice: choiceOf(toolChoice) }),
      ...(isTooLong && { summary: true }),
    }
    ctx.call({ type: 'model.invoke', target: model, data, ...bound })
  }

  /** Ends the task, once the guard allows the answer. */
  const finish = (value: unknown, ctx: TurnContext) => {
    if (!guard.output) return ctx.complete(value)
    ctx.call({ ...guardRequest(guard.output, { output: value }, { output: true }), ...bound })
  }

  /** Has a message of the user checked, before the next request contains it. */
  const guardMessage = (
    state: LoopState,
    ctx: TurnContext,
    { event, content }: { event: string; content: unknown },
  ) => {
    const subject = { message: event }
    guarding(state, ctx.call({ ...guardRequest(guard.input!, { message: content }, subject), ...bound }), subject)
  }

  /** Follows the decision of a guard. True if the task ended. */
  const follow = (answered: CloudEvent, state: LoopState, ctx: TurnContext): boolean => {
    const guarded = state.judged![answered.call!]!
    const verdict = verdictOf(answered, `the guard of the ${'output' in guarded ? 'output' : 'input'}`)
    if ('error' in verdict) ctx.fail(verdict.error)
    else if ('output' in guarded && !hasUnread(state)) {
      if (!('rewrite' in verdict)) ctx.complete(guarded.output)
      else {
        const checked = output ? validateNow(output, verdict.rewrite) : { value: verdict.rewrite }
        if ('value' in checked) ctx.complete(checked.value)
        else
          ctx.fail(
            failure('E_MODEL_OUTPUT', `the guard rewrote the output, which then does not fit: ${checked.problem}`),
          )
      }
    } else return false
    return true
  }

  /** The final answer, if it is given by the only call of a step; else the calls of the step. */
  const handleCalls = (calls: readonly ModelToolCall[], state: LoopState, ctx: TurnContext) => {
    const [{ toolCallId, toolName, input, malformed }] = calls as [ModelToolCall]
    const given = calls.length === 1 && malformed === undefined ? tools.get(toolName)?.answer?.(input) : undefined
    if (!given) return callTools(calls, state, ctx)
    if ('value' in given && !hasUnread(state)) return finish(given.value, ctx)
    const error =
      'problem' in given
        ? failure('E_MODEL_OUTPUT', given.problem)
        : failure('E_TOOL_INPUT', 'the user has said more; answer again')
    if ('problem' in given && state.misfits >= maxMisfits) return ctx.fail(error)
    const event = ctx.emit({ type: 'tool.failed', data: { error, toolCallId, toolName } })
    ask(state, ctx, [{ role: 'tool', event, toolCallId, toolName }])
  }

  /** Makes tool calls of the model, all or the first. Invalid ones fail at once, and the model gets the error. */
  const callTools = (calls: readonly ModelToolCall[], state: LoopState, ctx: TurnContext) => {
    const failed: MessageRef[] = []
    let called = 0
    for (const call of calls) {
      const { toolCallId, toolName } = call
      if (state.handover?.toolCallId === toolCallId) continue
      const request = requestOf(call, ctx)
      if ('error' in request) {
        const event = ctx.emit({ type: 'tool.failed', data: { error: request.error, toolCallId, toolName } })
        failed.push({ role: 'tool', event, toolCallId, toolName })
      } else {
        ctx.call({ ...request, ...bound })
        called++
        if (!parallelTools) break
      }
    }
    if (called === 0) endStep(state, ctx, failed)
  }

  const requestOf = (call: ModelToolCall, { start }: TurnContext) => {
    const { toolName, toolCallId, input } = call
    const tool = tools.get(toolName)
    const isOfUi = !tool && uiToolsIn(start).some(({ name }) => name === toolName)
    if (!tool && !isOfUi)
      return { error: failure('E_TOOL_UNKNOWN', `unknown tool "${toolName}"; available tools: ${available}`) }
    const error = problemOf(call)
    if (error) return { error }
    if (!tool) return { type: 'tool.invoke', target: uiTarget, data: { input, toolCallId, toolName } }
    if (tool.request) return tool.request(input, toolCallId)
    const problem = tool.answer
      ? `call ${answerTool} alone, after the answers of the other tools`
      : 'a conversation is handed over only once; the first hand-over was taken'
    return { error: failure('E_TOOL_INPUT', problem) }
  }

  /** After an answer of a tool. */
  const proceed = (state: LoopState, ctx: TurnContext) =>
    state.queued ? callTools(state.queued, state, ctx) : endStep(state, ctx)

  /** After the tool calls of a step: asks the model again, or lets another agent continue. */
  const endStep = (state: LoopState, ctx: TurnContext, more: readonly MessageRef[] = []) => {
    if (!state.handover || isGuarded(state)) return ask(state, ctx, more)
    const conversation: EarlierConversation = {
      prev: state.prev,
      messages: more.reduce(addMessage, state.fresh),
      first: firstOf(state, ctx),
      handover: state.handover,
      ...(state.tokens !== undefined && { tokens: state.tokens }),
    }
    const { target } = tools.get(state.handover.toolName)!
    const declared = uiToolsIn(ctx.start)
    const data = { input: inputOf(ctx.start), conversation, ...(declared.length > 0 && { tools: declared }) }
    ctx.call({ type: 'agent.invoke', target, data, ...bound })
  }

  /** The answer of the agent that continued the conversation is the answer of the task. */
  const passOn = (answered: CloudEvent, ctx: TurnContext) => {
    const outcome = callOutcome(answered)
    if ('error' in outcome) return ctx.fail(outcome.error)
    const checked = output ? validateNow(output, outcome.output) : { value: outcome.output }
    if ('value' in checked) return finish(checked.value, ctx)
    ctx.fail(failure('E_MODEL_OUTPUT', `the agent that took over gave another output: ${checked.problem}`))
  }

  /** Passes further messages of the user on to the agent that continues the conversation, which answers them. */
  const forward = (state: LoopState, inputs: readonly CloudEvent[], ctx: LoopTurn) => {
    const { target } = tools.get(state.handover!.toolName)!
    const subject = taskId(ctx.start.correlationid, target, state.successor!)
    for (const message of inputs) {
      const { id, type, call = id, replyto, data } = message
      if (type === messageType && !hasTaken(state, message))
        ctx.emit({ type, target, subject, call, ...(replyto !== undefined && { replyto }), data })
    }
  }

  const note = (state: LoopState, ctx: TurnContext, data: { text: string; code?: ErrorCode }) =>
    ask(state, ctx, [{ role: 'user', event: ctx.emit({ type: 'agent.noted', data }) }])

  const answer = (text: string, state: LoopState, ctx: TurnContext) => {
    if (!output) return finish(text, ctx)
    const parsed = parseOutput(output, text)
    if ('value' in parsed) return finish(parsed.value, ctx)
    if (state.misfits >= maxMisfits) return ctx.fail(failure('E_MODEL_OUTPUT', parsed.problem))
    const how = hasAnswerTool ? `by a call of ${answerTool}` : 'with JSON only'
    note(state, ctx, { text: `That does not fit the schema: ${parsed.problem}. Answer again, ${how}.` })
  }

  /** Follows the `finish` rules of the agent: fails, accepts the answer, or asks for the rest. */
  const handleUnfinished = (end: Unfinished, result: ModelResult, state: LoopState, ctx: TurnContext) => {
    const { text, toolCalls } = result
    // Asked to go on, it had nothing to add.
    if (end === 'empty' && state.partial !== undefined) return finish(state.partial, ctx)
    const times = state.unfinished ?? 0
    const isOver = times > maxContinues || !canContinue(end, result)
    if (rules[end] === 'fail' || (rules[end] === 'continue' && isOver))
      return ctx.fail(unfinished(end, result, times).toJSON())
    if (toolCalls.length > 0) return handleCalls(toolCalls, state, ctx)
    // What was cut off is joined already.
    const joined = end === 'length' ? (state.partial ?? text) : (state.partial ?? '') + text
    if (rules[end] === 'accept') return answer(joined, state, ctx)
    if (end === 'empty') return note(state, ctx, { text: emptyNote, code: 'E_MODEL_EMPTY' })
    if (output && 'value' in parseOutput(output, text)) return answer(text, state, ctx)
    note(state, ctx, { text: output ? shorterNote : continueNote, code: 'E_MODEL_LENGTH' })
  }

  return {
    init: start => beginLoop(start, guard),
    evolve: (state, event) =>
      foldIntoLoop(state, event, {
        tools,
        joins: !output,
        parallelTools,
        countsTokens: maxContextTokens < Infinity,
        guard,
      }),

    decide(state, inputs, ctx: LoopTurn) {
      if (state.successor === undefined) for (const each of inputs) if (each.type === messageType) ctx.confirm(each)
      if (prepare && !state.isPrepared && state.steps === 0) {
        const data = prepare(ctx.start)
        const event = ctx.emit({ type: promptedType, data })
        takePrompt(state, event, data)
        if (state.unguarded?.includes(event)) guardMessage(state, ctx, { event, content: data.message })
      }
      for (const each of inputs)
        if (state.unguarded?.includes(each.id)) guardMessage(state, ctx, { event: each.id, content: userContent(each) })
      for (const input of inputs) {
        const { type, data, call } = input
        if (call !== undefined && state.judged?.[call]) {
          if (follow(input, state, ctx)) return
          continue
        }
        if (call !== undefined && call === state.successor) return passOn(input, ctx)
        if (type === 'model.failed' || (type === 'call.expired' && call === state.prev))
          return ctx.fail((data as { error: ErrorData }).error)
        if (type === 'model.result') {
          if (state.summarized === input.id) return ask(state, ctx)
          const result = data as ModelResult
          const end = endOf(result)
          const isRefused = end in rules && rules[end as Unfinished] === 'fail'
          if (result.toolCalls.length === 0 && hasUnread(state) && !isRefused) return ask(state, ctx)
          if (end !== 'whole' && end !== 'paused') return handleUnfinished(end, result, state, ctx)
          if (result.toolCalls.length > 0) return handleCalls(result.toolCalls, state, ctx)
          return end === 'paused' ? ask(state, ctx) : answer((state.partial ?? '') + result.text, state, ctx)
        }
      }
      if (state.successor !== undefined) return forward(state, inputs, ctx)
      if (Object.keys(state.open).length === 0 && !isAsking(state)) proceed(state, ctx)
    },
  }
}

const choiceOf = (choice: 'required' | { readonly name: string }): NonNullable<ModelRequest['toolChoice']> =>
  choice === 'required' ? { type: 'required' } : { type: 'tool', toolName: modelToolName(choice.name) }

const continueNote =
  'Your answer was cut off at the limit of output tokens. Go on exactly where it stopped: repeat nothing, and say nothing about it.'
const shorterNote =
  'Your answer was cut off at the limit of output tokens. Answer again from the beginning and shorter, with JSON only.'
const summaryNote =
  'The conversation is about to become too long. Summarise it for yourself: what you shall do, what you did and found, with all names, numbers and ids that you still need, and what is left to do. You then go on with your summary in place of the messages. Call no tool now.'
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

function parseOutput(schema: Schema, text: string): { value: unknown } | { problem: string } {
  // Models without a JSON mode like to wrap it.
  const json = /```(?:json)?\s*([\s\S]*?)```/.exec(text)?.[1] ?? text
  try {
    return validateNow(schema, JSON.parse(json))
  } catch (error) {
    return { problem: (error as Error).message }
  }
}
