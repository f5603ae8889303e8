import type { CloudEvent } from '../event.ts'
import { approvalType } from '../tasks/approval.ts'
import { messageType } from '../tasks/asked.ts'
import { routedEventIn, routedType } from '../bus/routed.ts'
import { httpRequestType, httpResponseType, type TappedRequest, type TappedResponse } from '../bus/tapped-http.ts'
import type { TappedMessage } from '../tasks/tapped-model.ts'
import { promptedType, type ModelToolCall } from '../tasks/conversation.ts'
import { retryType } from '../tasks/fork.ts'
import { operationRequestedType } from '../tasks/operation.ts'
import { decisionText, delayText, problemOf } from './outcome.ts'
import { shortId } from './short-id.ts'
import { countText, preview, printable } from './text.ts'

/** The content of an event on one line, without the envelope of requests and answers. A row has it already. */
export function summarizeEvent(event: CloudEvent & { readonly summary?: string }): string {
  if (event.summary !== undefined) return event.summary
  const { type, subject, data, dataref, retryof, target, user } = event
  if (type === retryType && retryof !== undefined) return `retry of ${shortId(retryof, target)}`
  if (type === 'email.received')
    return preview([subject, (data as { text?: unknown } | null)?.text].filter(Boolean).join('  '))
  if (dataref !== undefined) return 'data in a blob'
  if (typeof data !== 'object' || data === null) return preview(data)
  if (type === operationRequestedType)
    return `by ${printable(user ?? 'anyone')}  ${preview((data as { request?: unknown }).request)}`
  const inner = type === routedType && routedEventIn(event)
  if (inner) return `${inner.type}  ${summarizeEvent(inner)}`
  const { input, output, message, messages, instructions, text, toolCalls, what, prompt } = data as Record<
    string,
    unknown
  >
  if (type === httpRequestType || type === httpResponseType) return previewHttp(data as TappedRequest & TappedResponse)
  if (type === 'model.invoke' && Array.isArray(prompt)) return previewPrompt(prompt as TappedMessage[])
  if (type === 'model.invoke' && Array.isArray(messages)) return countText(messages.length, 'new message')
  if (type === 'agent.noted' && typeof text === 'string') return preview(text)
  if (type === 'model.result') return preview(text || callsText(toolCalls) || data)
  if (type === approvalType) return preview(what ?? data)
  if (type === messageType || type === promptedType) return preview(message ?? instructions)
  const answered = output === null ? { output } : output
  return preview(delayText(event) ?? problemOf(event) ?? decisionText(event) ?? input ?? answered ?? data)
}

/** Names and arguments of the tools that a model calls; undefined if it calls none. */
function callsText(toolCalls: unknown): string | undefined {
  if (!Array.isArray(toolCalls) || toolCalls.length === 0) return undefined
  const calls = (toolCalls as ModelToolCall[]).map(
    ({ toolName, input, malformed }) => `${toolName}(${malformed ?? JSON.stringify(input)})`,
  )
  return `calls ${calls.join(', ')}`
}

/** The last message of a tapped request. */
function previewPrompt(prompt: readonly TappedMessage[]): string {
  const last = prompt.at(-1)
  return preview(last?.text ?? last?.results ?? last?.files ?? countText(prompt.length, 'new message'))
}

/** The path or the status of a tapped exchange, and its body. */
function previewHttp({ path, status, body, error }: TappedRequest & TappedResponse): string {
  const { json, form, text } = body ?? {}
  const content = json ?? form ?? text
  const head = printable(path ?? String(status ?? ''))
  return [head, error?.code, content === undefined ? undefined : preview(content)]
    .filter(Boolean)
    .map(String)
    .join('  ')
}
