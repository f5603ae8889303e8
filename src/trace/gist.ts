import type { CloudEvent } from '../event.ts'
import { approvalType } from '../tasks/approval.ts'
import { routedEventIn, routedType } from '../bus/routed.ts'
import { retryType } from '../tasks/fork.ts'
import { decisionText, delayText, problemOf } from './outcome.ts'
import { shortId } from './short-id.ts'
import { count, preview } from './text.ts'

/** What an event says, on one line: what requests and answers wrap is worth more than the wrapping. */
export function gist(event: CloudEvent): string {
  const { type, subject, data, dataref, retryof } = event
  if (type === retryType && retryof !== undefined) return `goes on from ${shortId(retryof)}`
  if (type === 'email.received')
    return preview([subject, (data as { text?: unknown } | null)?.text].filter(Boolean).join('  '))
  if (dataref !== undefined) return 'data in a blob'
  if (typeof data !== 'object' || data === null) return preview(data)
  const inner = type === routedType && routedEventIn(event)
  if (inner) return `${inner.type}  ${gist(inner)}`
  const { input, output, messages, text, toolCalls, what } = data as Record<string, unknown>
  if (type === 'model.invoke' && Array.isArray(messages)) return count(messages.length, 'new message')
  if (type === 'agent.noted' && typeof text === 'string') return preview(text)
  if (type === 'model.result') return preview(text || toolCalls || data)
  if (type === approvalType) return preview(what ?? data)
  return preview(delayText(event) ?? problemOf(event) ?? decisionText(event) ?? input ?? output ?? data)
}
