import type {
  JSONValue,
  LanguageModelV4Message,
  LanguageModelV4Prompt,
  LanguageModelV4ToolResultPart,
} from '@ai-sdk/provider'
import type { CloudEvent } from '../event.ts'
import type { ErrorData } from '../errors.ts'
import type { MessageRef, ModelResult } from '../tasks/conversation.ts'
import { inputOf } from '../tasks/program.ts'

/** The message that a reference stands for. */
export function messageOf(ref: MessageRef, event: CloudEvent): LanguageModelV4Message {
  if (ref.role === 'user') return { role: 'user', content: [{ type: 'text', text: userText(event) }] }
  if (ref.role === 'assistant') return assistantMessage(event.data as ModelResult)
  return { role: 'tool', content: [toolPart(ref, event)] }
}

/**
 * The newest messages up to the window, and always the first one. A tool's answer never stands without its call, and
 * answers to one step are one message.
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
    else prompt.push(message)
  }
  return prompt
}

function userText(event: CloudEvent): string {
  const said = event.type === 'agent.noted' ? (event.data as { text: string }).text : inputOf(event)
  return typeof said === 'string' ? said : JSON.stringify(said)
}

function assistantMessage({ text, toolCalls }: ModelResult): LanguageModelV4Message {
  return {
    role: 'assistant',
    content: [
      ...(text ? [{ type: 'text' as const, text }] : []),
      ...toolCalls.map(({ toolCallId, toolName, input, malformed }) => ({
        type: 'tool-call' as const,
        toolCallId,
        toolName,
        input: malformed === undefined ? input : { malformed },
      })),
    ],
  }
}

function toolPart(
  { toolCallId, toolName }: MessageRef & { role: 'tool' },
  event: CloudEvent,
): LanguageModelV4ToolResultPart {
  const data = event.data as { output?: JSONValue; error?: ErrorData }
  return {
    type: 'tool-result',
    toolCallId,
    toolName,
    output: data.error
      ? { type: 'error-json', value: { code: data.error.code, message: data.error.message } }
      : { type: 'json', value: data.output ?? null },
  }
}
