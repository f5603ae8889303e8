import type { CallToolResult } from '@modelcontextprotocol/server'
import type { Bus } from '../../bus/bus.ts'
import type { Redactor } from '../../bus/redact.ts'
import { toTidingsError } from '../../errors.ts'
import { isMessagePart, type MessagePart } from '../../tasks/conversation.ts'
import { CallError } from '../../tasks/script.ts'

/** What a call of a published tool gives its client. */
export type ToolResult = CallToolResult & { [key: string]: unknown }

/** Of all files of one result: clients get them in one message, as text. */
export const maxFileBytes = 8 * 1024 * 1024

/**
 * An output as the result of a tool. Parts of a message become contents, with the files themselves. An output with `content` is a result
 * already: its tool returned the contents of MCP.
 */
export async function resultOf(bus: Bus, tenant: string, output: unknown): Promise<ToolResult> {
  if (isToolResult(output)) return output
  if (Array.isArray(output) && output.length > 0 && output.every(isMessagePart))
    return { content: await contentsOf(bus, tenant, output) }
  const text = typeof output === 'string' ? output : JSON.stringify(output ?? null)
  const isObject = typeof output === 'object' && output !== null && !Array.isArray(output)
  return {
    content: [{ type: 'text', text }],
    ...(isObject && { structuredContent: output }),
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

export type Content = CallToolResult['content'][number]

export async function contentsOf(bus: Bus, tenant: string, parts: readonly MessagePart[]): Promise<Content[]> {
  const contents: Content[] = []
  let room = maxFileBytes
  for (const part of parts) {
    if (part.type === 'text') contents.push({ type: 'text', text: part.text })
    else if ('url' in part) contents.push(linkOf(part.url, part))
    else {
      const bytes = await bus.findBlob(tenant, part.blob)
      room -= bytes?.length ?? 0
      if (!bytes || room < 0)
        contents.push({
          type: 'text',
          text: `${part.filename ?? part.blob} ${bytes ? 'is too large to be sent' : 'is gone'}`,
        })
      else contents.push(fileOf(part.mediaType, Buffer.from(bytes).toString('base64'), `blob:${part.blob}`))
    }
  }
  return contents
}

const linkOf = (uri: string, { mediaType, filename }: { mediaType: string; filename?: string }): Content => ({
  type: 'resource_link',
  uri,
  name: filename ?? uri,
  mimeType: mediaType,
})

function fileOf(mimeType: string, data: string, uri: string): Content {
  const [kind] = mimeType.split('/')
  if (kind === 'image' || kind === 'audio') return { type: kind, data, mimeType }
  return { type: 'resource', resource: { uri, mimeType, blob: data } }
}

/** The texts that each kind of content must have. Source: MCP 2025-11-25, schema. */
const contentFields: Readonly<Record<string, readonly string[]>> = {
  text: ['text'],
  image: ['data', 'mimeType'],
  audio: ['data', 'mimeType'],
  resource: [],
  resource_link: ['uri', 'name'],
}

function isToolResult(output: unknown): output is ToolResult {
  const { content } = (output ?? {}) as { content?: unknown }
  return Array.isArray(content) && content.length > 0 && content.every(isContent)
}

export function isContent(value: unknown): value is Content {
  const content = (value ?? {}) as Record<string, unknown>
  const fields = Object.hasOwn(contentFields, String(content.type)) ? contentFields[String(content.type)] : undefined
  if (!fields?.every(field => typeof content[field] === 'string')) return false
  return (
    content.type !== 'resource' || typeof (content.resource as { uri?: unknown } | null | undefined)?.uri === 'string'
  )
}
