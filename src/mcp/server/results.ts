import type { CallToolResult } from '@modelcontextprotocol/server'
import type { Redactor } from '../../bus/redact.ts'
import { toTidingsError } from '../../errors.ts'
import { CallError } from '../../tasks/script.ts'

/** What a call of a published tool gives its client. */
export type ToolResult = CallToolResult & { [key: string]: unknown }

/**
 * An output as the result of a tool. An output with `content` is one already: a tool that answers with images, audio or resources returns
 * the content of MCP itself.
 */
export function resultOf(output: unknown): ToolResult {
  if (isToolResult(output)) return output
  const text = typeof output === 'string' ? output : JSON.stringify(output ?? null)
  const isObject = typeof output === 'object' && output !== null && !Array.isArray(output)
  return {
    content: [{ type: 'text', text }],
    ...(isObject && { structuredContent: output as Record<string, unknown> }),
  }
}

/** A failed task as the result of a tool, which a model reads. */
export function failureOf(thrown: unknown, redactor: Redactor): ToolResult {
  const { code, message, next } =
    thrown instanceof CallError ? { ...thrown.data, next: thrown.next } : toTidingsError(thrown, 'E_INTERNAL')
  const text = `${message} (${code})${next === undefined ? '' : `\n${next}`}`
  return { content: [{ type: 'text', text: redactor.text(text) }], isError: true }
}

export const textResult = (text: string): ToolResult => ({ content: [{ type: 'text', text }] })

const contentTypes: ReadonlySet<unknown> = new Set(['text', 'image', 'audio', 'resource', 'resource_link'])

function isToolResult(output: unknown): output is ToolResult {
  const { content } = (output ?? {}) as { content?: unknown }
  return (
    Array.isArray(content) &&
    content.length > 0 &&
    content.every(
      part => typeof part === 'object' && part !== null && contentTypes.has((part as { type?: unknown }).type),
    )
  )
}
