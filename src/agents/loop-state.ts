import type { ErrorData } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import { messageType } from '../tasks/asked.ts'
import {
  endOf,
  promptedType,
  tokensOf,
  type EarlierConversation,
  type MessageRef,
  type ModelRequest,
  type ModelResult,
  type ModelToolCall,
  type PromptedData,
} from '../tasks/conversation.ts'
import { modelToolName } from '../tasks/offered-input.ts'
import type { TurnContext } from '../tasks/program.ts'
import { uiTarget, uiToolName } from '../tasks/ui-tools.ts'
import type { GuardOptions, GuardSubject } from './guard.ts'
import type { OfferedTool } from './loop-tools.ts'

/* What the loop of a model agent remembers between two turns, and how events change it. */

interface ModelCall {
  toolCallId: string
  toolName: string
}

/** A message of the user, or the answer, that a guard checks. */
export type Guarded = { readonly message: string } | { readonly output: unknown }

export interface LoopState {
  /** The last model.invoke. */
  prev: string | null
  /** Messages since then. */
  fresh: MessageRef[]
  /** The first message, if it is not the start of the task. */
  first?: MessageRef
  /** The event with the instructions of this task, if they depend on its input. */
  instructions?: string
  isPrepared?: true
  /** It continues the conversation of another agent, so its start is not a message of the user. */
  isHandedOver?: true
  /** Tool calls under way: call id → what the model calls it. */
  open: Record<string, ModelCall>
  /** The hand-over that the model asked for: it is made when all tool calls are answered. */
  handover?: ModelCall
  /** Without `parallelTools`: the calls of this step that are not made yet. */
  queued?: ModelToolCall[]
  /** The call of the agent that continues the conversation. */
  successor?: string
  /** With guards: the start of the task. */
  start?: string
  /** Messages of the user that no guard has been asked about yet. */
  unguarded?: string[]
  /** Calls of guards: what they check. */
  guards?: Record<string, Guarded>
  /** Calls of guards that were answered since the last request. */
  judged?: Record<string, Guarded>
  /** Further messages of the user that were taken, by the id of the first if they were forwarded: one may be delivered twice. */
  said?: string[]
  steps: number
  /** With `maxContextTokens`: the tokens of the last request and answer. */
  tokens?: number
  /** Requests since the beginning of the conversation, or of its summary. */
  chain?: number
  /** While the model writes a summary: where the conversation was. */
  summary?: Pick<EarlierConversation, 'prev' | 'messages' | 'first'>
  /** The answer with the summary, until the next request. */
  summarized?: string
  /** Answers in a row that did not fit the output schema. */
  misfits: number
  /** Answers in a row that were cut off or empty. */
  unfinished?: number
  /** The text of an answer that was cut off, as far as it has come. */
  partial?: string
}

const maxSaid = 100
/** The newest step stays as it is, so before that many requests a summary would save nothing. */
export const minChain = 2

interface FoldOptions {
  readonly tools: ReadonlyMap<string, OfferedTool>
  /** Texts that were cut off are joined: the answer has no schema. */
  readonly joins: boolean
  readonly parallelTools: boolean
  readonly countsTokens: boolean
  readonly guard: GuardOptions
}

/** What a task begins with: its start as the first message, or the conversation that it continues. */
function startOf({ id, type, data }: CloudEvent): Omit<LoopState, 'open' | 'steps' | 'misfits'> {
  const user = { role: 'user', event: id } as const
  const earlier = type === 'agent.invoke' ? (data as StartData | null)?.conversation : undefined
  if (!earlier) return { prev: null, fresh: [user] }
  const { prev, first, messages, handover, tokens } = earlier
  return {
    prev,
    first,
    ...(tokens !== undefined && { tokens, chain: minChain }),
    ...(handover && { isHandedOver: true }),
    fresh: addMessage(messages, handover ? { role: 'tool', event: id, ...handover } : user),
  }
}

export function beginLoop(start: CloudEvent, { input, output }: GuardOptions): LoopState {
  const begun = startOf(start)
  return {
    ...begun,
    ...((input ?? output) && { start: start.id }),
    ...(input && !begun.isHandedOver && { unguarded: [start.id] }),
    open: {},
    steps: 0,
    misfits: 0,
  }
}

/** Folds an input, or an event that the task emitted. */
export function foldIntoLoop(state: LoopState, event: CloudEvent, options: FoldOptions): LoopState {
  const { id, type, target } = event
  if (event.call !== undefined && state.guards?.[event.call]) {
    takeVerdict(state, event)
    return state
  }
  const subject = state.start !== undefined && id !== state.start ? subjectOf(event) : undefined
  if (subject) {
    guarding(state, id, subject)
    return state
  }
  const call = event.call === undefined ? undefined : state.open[event.call]
  if (call) {
    delete state.open[event.call!]
    state.fresh = addMessage(state.fresh, { role: 'tool', event: id, ...call })
    return state
  }
  switch (type) {
    case 'model.invoke':
      takeRequest(state, id, event.data as ModelRequest, options)
      break
    case 'model.result':
      if (state.summary) takeSummary(state, id, event.data as ModelResult)
      else if (options.countsTokens) state.tokens = tokensOf(event.data as ModelResult)
      if (state.summarized === id) break
      state.fresh = addMessage(state.fresh, { role: 'assistant', event: id })
      takeResult(state, event.data as ModelResult, options)
      break
    case messageType:
      if (state.successor === undefined) takeMessage(state, event, options)
      break
    case 'agent.invoke':
      // Without a step it is the start of the task.
      if (state.steps === 0) break
      if ((event.data as StartData).conversation) {
        state.successor = id
        state.fresh = []
      } else takeCall(state, event.data as ModelCall, { id, toolName: modelToolName(target!) })
      break
    case 'tool.invoke':
      takeCall(state, event.data as ModelCall, {
        id,
        toolName: target === uiTarget ? uiToolName(event) : modelToolName(target!),
      })
      break
    case 'tool.failed': {
      // Failed before it was called, in a turn of this task.
      const { toolCallId, toolName, error } = event.data as ModelCall & { error?: ErrorData }
      if (error?.code === 'E_MODEL_OUTPUT') state.misfits++
      dequeue(state, toolCallId)
      state.fresh = addMessage(state.fresh, { role: 'tool', event: id, toolCallId, toolName })
      break
    }
    case promptedType:
      takePrompt(state, id, event.data as PromptedData)
      break
    case 'agent.noted':
      if (isMisfit(event.data as { code?: string; summary?: true })) state.misfits++
  }
  return state
}

/** The message that the agent made of its input takes the place of the start, which is the newest message of the first turn. */
export function takePrompt(state: LoopState, event: string, { message, instructions }: PromptedData) {
  state.isPrepared = true
  if (instructions !== undefined) state.instructions = event
  if (message === undefined || state.isHandedOver) return
  state.fresh[state.fresh.length - 1] = { role: 'user', event }
  if (state.unguarded) state.unguarded = [event]
  state.first ??= { role: 'user', event }
}

/** What a call of a guard is about; undefined for other events. */
function subjectOf({ type, data }: CloudEvent): Guarded | undefined {
  if (type !== 'tool.invoke' && type !== 'agent.invoke') return undefined
  const { guard, input } = data as { guard?: GuardSubject; input?: { output?: unknown } }
  return guard && 'output' in guard ? { output: input?.output } : guard
}

export function guarding(state: LoopState, call: string, guarded: Guarded) {
  state.guards = { ...state.guards, [call]: guarded }
  if ('message' in guarded) state.unguarded = state.unguarded?.filter(id => id !== guarded.message) ?? []
}

/** A rewritten message takes the place of the one that was checked. */
function takeVerdict(state: LoopState, { id, call, type, data }: CloudEvent) {
  const { [call!]: guarded, ...guards } = state.guards!
  state.guards = guards
  state.judged = { ...state.judged, [call!]: guarded! }
  const isAnswer = type === 'tool.result' || type === 'agent.task.completed'
  const { output } = (data ?? {}) as { output?: unknown }
  const isRewritten = isAnswer && typeof output === 'object' && output !== null && 'rewrite' in output
  if (!('message' in guarded!) || !isRewritten) return
  const { message } = guarded
  const rewritten = (ref: MessageRef): MessageRef => (ref.event === message ? { role: 'user', event: id } : ref)
  state.first = rewritten(state.first ?? { role: 'user', event: state.start! })
  state.fresh = state.fresh.map(rewritten)
}

/** Whether a guard has not answered yet: then the model is not asked, and the task does not end. */
export const isGuarded = ({ guards = {}, unguarded = [] }: LoopState) =>
  Object.keys(guards).length + unguarded.length > 0

const isMisfit = ({ code, summary }: { code?: string; summary?: true }) => code === undefined && !summary

function takeRequest(
  state: LoopState,
  id: string,
  { summary, messages, first }: ModelRequest,
  { countsTokens }: FoldOptions,
) {
  // Its last message asks for the summary.
  if (summary) state.summary = { prev: state.prev, messages: messages.slice(0, -1), first }
  else if (countsTokens) state.chain = (state.chain ?? 0) + 1
  delete state.summarized
  delete state.judged
  state.prev = id
  state.fresh = []
  state.steps++
}

/** A new chain begins with the first message, the summary and the messages of the newest step. Without a summary, the old one goes on. */
function takeSummary(state: LoopState, id: string, result: ModelResult) {
  const { prev, messages, first } = state.summary!
  const hasText = result.text.trim() !== '' && ['whole', 'length'].includes(endOf(result))
  state.fresh = [...(hasText ? [first, { role: 'user' as const, event: id }] : []), ...messages, ...state.fresh]
  state.prev = hasText ? null : prev
  state.summarized = id
  state.tokens = 0
  state.chain = 0
  delete state.summary
}

function takeResult(state: LoopState, result: ModelResult, { tools, joins, parallelTools }: FoldOptions) {
  const { toolCalls } = result
  if (toolCalls.some(({ toolName }) => !tools.get(toolName)?.answer)) state.misfits = 0
  countEnd(state, result, joins)
  // The next answer is to the user's further message.
  if (hasUnread(state)) delete state.partial
  const handover = toolCalls.find(({ toolName, malformed }) => {
    const tool = malformed === undefined ? tools.get(toolName) : undefined
    return tool && !tool.request && !tool.answer
  })
  if (handover) state.handover = { toolCallId: handover.toolCallId, toolName: handover.toolName }
  if (!parallelTools && toolCalls.length > 1) state.queued = [...toolCalls]
}

function takeCall(state: LoopState, { toolCallId }: ModelCall, { id, toolName }: { id: string; toolName: string }) {
  dequeue(state, toolCallId)
  state.open[id] = { toolCallId, toolName }
}

/** Whether a model call is open, whose answer adds the message of the assistant. */
export const isAsking = ({ steps, fresh }: LoopState) => steps > 0 && !fresh.some(({ role }) => role === 'assistant')

/** Whether the user said something that the last request did not contain. */
export const hasUnread = ({ fresh }: LoopState) => fresh.some(({ role }) => role === 'user')

function dequeue(state: LoopState, made: string) {
  const left = state.queued?.filter(
    ({ toolCallId }) => toolCallId !== made && toolCallId !== state.handover?.toolCallId,
  )
  if (left && left.length > 0) state.queued = left
  else delete state.queued
}

function takeMessage(state: LoopState, message: CloudEvent, { guard }: FoldOptions) {
  if (hasTaken(state, message)) return
  const { id, call = id } = message
  if (guard.input) state.unguarded = [...(state.unguarded ?? []), id]
  state.said = [...(state.said ?? []), call].slice(-maxSaid)
  state.fresh.push({ role: 'user', event: id })
}

export const hasTaken = ({ said = [] }: LoopState, { id, call = id }: CloudEvent) => said.includes(call)

/** Adds a message. One of the user may have arrived between a call and its answer, which providers want to see together. */
export function addMessage(messages: readonly MessageRef[], added: MessageRef): MessageRef[] {
  const last = added.role === 'user' ? messages.length : messages.findLastIndex(({ role }) => role !== 'user') + 1
  return messages.toSpliced(last, 0, added)
}

type StartData = { readonly conversation?: EarlierConversation }

export const firstOf = ({ first }: LoopState, { start }: TurnContext): MessageRef =>
  first ?? { role: 'user', event: start.id }

/** Counts the answers that were cut off or empty, and joins the texts of those. State that has none stays as it was. */
function countEnd(state: LoopState, result: ModelResult, joins: boolean) {
  const end = endOf(result)
  if (end === 'length' || end === 'empty') state.unfinished = (state.unfinished ?? 0) + 1
  else delete state.unfinished
  if (result.toolCalls.length > 0) delete state.partial
  else if (end === 'length' && joins) state.partial = (state.partial ?? '') + result.text
}
