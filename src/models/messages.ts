import type {
  JSONValue,
  LanguageModelV4Message,
  LanguageModelV4Prompt,
  LanguageModelV4ToolCallPart,
  LanguageModelV4ToolResultPart,
} from '@ai-sdk/provider'
import type { CloudEvent } from '../event.ts'
import {
  isMessagePart,
  userContent,
  type MessagePart,
  type MessageRef,
  type ModelDefinition,
  type ModelPart,
  type ModelResult,
  type ModelToolCall,
} from '../tasks/conversation.ts'
import { mergedOptions } from '../tasks/model-settings.ts'
import { callOutcome } from '../tasks/outcome.ts'

type AssistantMessage = Extract<LanguageModelV4Message, { role: 'assistant' }>
type AssistantPart = AssistantMessage['content'][number]
type UserPart = Extract<LanguageModelV4Message, { role: 'user' }>['content'][number]
type ToolMessage = Extract<LanguageModelV4Message, { role: 'tool' }>

export function readMessage(ref: MessageRef, event: CloudEvent): LanguageModelV4Message {
  if (ref.role === 'user') return { role: 'user', content: userParts(event) }
  if (ref.role === 'assistant') return assistantMessage(event.data as ModelResult)
  return { role: 'tool', content: [toolPart(ref, event)] }
}

/**
 * The first message and the newest ones up to the window. A tool result never appears without its call, and the results of one step are
 * one message, in the order of the calls. Answers without text or calls are omitted, because providers reject messages that are empty
 * or have only reasoning.
 */
export function promptOf(
  instructions: string,
  messages: readonly LanguageModelV4Message[],
  window: number,
): LanguageModelV4Prompt {
  let from = Math.max(1, messages.length - window + 1)
  while (messages[from]?.role === 'tool') from++
  const prompt: LanguageModelV4Prompt = [{ role: 'system', content: instructions }]
  for (const message of [...messages.slice(0, 1), ...messages.slice(from)]) {
    const last = prompt.at(-1)!
    if (message.role === 'tool' && last.role === 'tool')
      prompt[prompt.length - 1] = { role: 'tool', content: [...last.content, ...message.content] }
    else if (message.role !== 'assistant' || message.content.some(isContent)) prompt.push(message)
  }
  return prompt.flatMap((message, i): LanguageModelV4Prompt => {
    if (message.role === 'tool') return [allAnswers(message, prompt[i - 1]!)]
    if (message.role !== 'assistant' || prompt[i + 1]?.role === 'tool') return [message]
    const missing = allAnswers({ role: 'tool', content: [] }, message)
    return missing.content.length > 0 ? [message, missing] : [message]
  })
}

const isContent = ({ type }: AssistantPart) => !['reasoning', 'reasoning-file', 'custom'].includes(type)

/**
 * The answers in the order of the calls before them. A conversation may continue one whose task ended while tools ran, and providers reject
 * a call without a result.
 */
function allAnswers(answers: ToolMessage, { content }: LanguageModelV4Message): ToolMessage {
  const calls = (content as readonly AssistantPart[]).flatMap(part =>
    part.type === 'tool-call' && !part.providerExecuted ? [part] : [],
  )
  const indexOf = (part: ToolMessage['content'][number]) =>
    part.type === 'tool-result' ? calls.findIndex(({ toolCallId }) => toolCallId === part.toolCallId) : -1
  const answered = new Set(answers.content.map(indexOf))
  const missing = calls.filter((_, i) => !answered.has(i)).map(withoutResult)
  return { ...answers, content: [...answers.content, ...missing].toSorted((a, b) => indexOf(a) - indexOf(b)) }
}

const withoutResult = ({ toolCallId, toolName }: LanguageModelV4ToolCallPart): LanguageModelV4ToolResultPart => ({
  type: 'tool-result',
  toolCallId,
  toolName,
  output: {
    type: 'error-json',
    value: { code: 'E_TASK_CANCELLED', message: 'its task ended before there was a result' },
  },
})

const cached = { anthropic: { cacheControl: { type: 'ephemeral' } } }

/**
 * Asks Anthropic to cache the tools and instructions, and the conversation up to here, which the next request repeats. Other providers
 * cache without being asked.
 */
export function withCacheHints(prompt: LanguageModelV4Prompt): LanguageModelV4Prompt {
  return prompt.map((message, i) => {
    if (i > 0 && i < prompt.length - 1) return message
    return { ...message, providerOptions: mergedOptions(message.providerOptions, cached)! }
  })
}

/**
 * The tools that a conversation called. An agent without tools may have taken it over, and Anthropic rejects calls in a request that declares
 * no tools.
 */
export function toolsCalledIn(prompt: LanguageModelV4Prompt): ModelDefinition['tools'] {
  const calls = prompt.flatMap(({ role, content }) =>
    role === 'assistant' ? content.flatMap(part => (part.type === 'tool-call' ? [part.toolName] : [])) : [],
  )
  return [...new Set(calls)].map(name => ({ name, description: 'A tool of another agent.', input: { type: 'object' } }))
}

/** Whether redaction removed reasoning since the last message of the user. Anthropic requires it while thinking is on. */
export function lacksReasoning(prompt: LanguageModelV4Prompt): boolean {
  const turn = prompt.slice(prompt.findLastIndex(({ role }) => role === 'user') + 1)
  return turn.some(({ providerOptions }) => providerOptions?.tidings?.reasoning === 'redacted')
}

/** The parts that a user's message names, or the whole of it as text. */
function userParts(event: CloudEvent): UserPart[] {
  const content = userContent(event)
  const list: unknown[] = Array.isArray(content) ? content : [content]
  if (!list.some(isMessagePart) || !list.every(part => typeof part === 'string' || isMessagePart(part)))
    return [{ type: 'text', text: textOfInput(content, event) }]
  const parts = list.flatMap(part => userPart(part))
  return parts.length > 0 ? parts : [{ type: 'text', text: textOfInput(undefined, event) }]
}

function userPart(part: string | MessagePart): UserPart[] {
  if (typeof part !== 'string' && part.type === 'file') {
    const { type, mediaType, filename } = part
    // A placeholder until its bytes are fetched.
    const reference: Record<string, string> = 'url' in part ? { url: part.url } : { blob: part.blob }
    const data = { type: 'reference' as const, reference }
    return [{ type, mediaType, data, ...(filename !== undefined && { filename }) }]
  }
  const text = typeof part === 'string' ? part : part.text
  // Anthropic rejects a blank text.
  return text.trim() === '' ? [] : [{ type: 'text', text }]
}

function textOfInput(content: unknown, { type }: CloudEvent): string {
  // A model cannot interpret "null", and providers reject an empty text.
  if (content === null || content === undefined) return `The event ${type} arrived without data.`
  return typeof content === 'string' ? content : JSON.stringify(content)
}

function assistantMessage(result: ModelResult): LanguageModelV4Message {
  const { text, reasoning, toolCalls, content } = result
  const parts: readonly ModelPart[] = Array.isArray(content)
    ? content
    : [
        ...(reasoning ? [{ type: 'reasoning' as const }] : []),
        ...(text ? [{ type: 'text' as const }] : []),
        ...toolCalls.map(({ toolCallId }) => ({ type: 'tool-call' as const, toolCallId })),
      ]
  const lacks = parts.some(part => part.type === 'reasoning' && part.redacted)
  return {
    role: 'assistant',
    content: parts.flatMap(part => assistantPart(part, result)),
    // No provider reads this part.
    ...(lacks && { providerOptions: { tidings: { reasoning: 'redacted' } } }),
  }
}

function assistantPart(part: ModelPart, { text, reasoning, toolCalls }: ModelResult): AssistantPart[] {
  const options = part.providerMetadata && { providerOptions: part.providerMetadata }
  switch (part.type) {
    case 'text': {
      const own = part.text ?? text
      // Anthropic rejects a blank text.
      return own.trim() === '' && !options ? [] : [{ type: 'text', text: own, ...options }]
    }
    case 'reasoning':
      return part.redacted ? [] : [{ type: 'reasoning', text: part.text ?? reasoning ?? '', ...options }]
    case 'tool-call': {
      if (part.providerExecuted) {
        const { type, toolCallId, toolName, input, providerExecuted } = part
        return [{ type, toolCallId, toolName, input, providerExecuted, ...options }]
      }
      const call = toolCalls.find(({ toolCallId }) => toolCallId === part.toolCallId)
      return call ? [{ ...callPart(call), ...options }] : []
    }
    case 'tool-result': {
      const { type, toolCallId, toolName, result, isError } = part
      return [
        { type, toolCallId, toolName, output: { type: isError ? 'error-json' : 'json', value: result }, ...options },
      ]
    }
    case 'file':
    case 'reasoning-file': {
      const { type, mediaType } = part
      // A placeholder until its bytes are fetched.
      const data = { type: 'reference' as const, reference: 'url' in part ? { url: part.url } : { blob: part.blob } }
      return [{ type, mediaType, data, ...options } as AssistantPart]
    }
    case 'custom':
      return [{ type: part.type, kind: part.kind, ...options }]
    case 'source':
      return []
  }
}

function callPart({ toolCallId, toolName, input, malformed }: ModelToolCall) {
  return { type: 'tool-call' as const, toolCallId, toolName, input: malformed === undefined ? input : { malformed } }
}

function toolPart(
  { toolCallId, toolName }: MessageRef & { role: 'tool' },
  event: CloudEvent,
): LanguageModelV4ToolResultPart {
  const answer = { type: 'tool-result', toolCallId, toolName } as const
  // The request of a hand-over.
  if (event.type === 'agent.invoke')
    return { ...answer, output: { type: 'json', value: `Now "${event.target}" answers: that is you.` } }
  const outcome = callOutcome(event)
  if ('error' in outcome) {
    const { code, message } = outcome.error
    return { ...answer, output: { type: 'error-json', value: { code, message } } }
  }
  const { output = null } = outcome
  const isContent = Array.isArray(output) && output.every(isMessagePart) && output.some(({ type }) => type === 'file')
  if (!isContent) return { ...answer, output: { type: 'json', value: output as JSONValue } }
  return { ...answer, output: { type: 'content', value: output.flatMap(userPart) } }
}
