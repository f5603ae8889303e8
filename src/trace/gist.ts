import type { CloudEvent } from '../event.ts'
import { count, preview } from './text.ts'

/** What an event says, on one line: what requests and answers wrap is worth more than the wrapping. */
export function gist({ type, data, dataref }: CloudEvent): string {
  if (dataref !== undefined) return 'data in a blob'
  if (typeof data !== 'object' || data === null) return preview(data)
  const { input, output, error, messages, text, toolCalls } = data as Record<string, unknown>
  if (type === 'model.invoke' && Array.isArray(messages)) return count(messages.length, 'new message')
  if (type === 'model.result') return text ? preview(text) : preview(toolCalls ?? data)
  if (error !== undefined) return preview((error as { message?: unknown } | null)?.message ?? error)
  return preview(input ?? output ?? data)
}
