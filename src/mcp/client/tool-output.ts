import type { CallToolResult } from '@modelcontextprotocol/client'
import { TidingsError } from '../../errors.ts'
import type { JsonSchema } from '../../schema.ts'
import type { MessagePart } from '../../tasks/conversation.ts'
import { structureProblem } from '../../tasks/conforms.ts'

/*
 * The result of a call as a value for the log: the structured content, else the text, else a list of parts. Images, sound and files become blobs.
 */

/** More text than this is cut: no model reads it. */
const maxTextChars = 1_000_000
/** The event with the output must stay below 4 MiB. */
const maxStructuredChars = 1_500_000
const maxParts = 1_000

type StoreFile = (bytes: Uint8Array) => Promise<{ readonly blob: string }>

/** @throws E_TOOL_THREW if the result is an error, E_TOOL_OUTPUT if it is too large or does not match the schema */
export async function toolOutput(
  { content, structuredContent, isError }: CallToolResult,
  { schema, store }: { schema: JsonSchema | undefined; store: StoreFile },
): Promise<unknown> {
  if (!Array.isArray(content ?? [])) throw new TidingsError('E_TOOL_OUTPUT', 'the result has no list of content')
  if (isError)
    throw new TidingsError('E_TOOL_THREW', textOfParts(await partsOf(content ?? [], store)) || 'the tool failed', {
      next: 'The tool of the MCP server reported this error. Correct the input of the call, or look at the server.',
    })
  if (structuredContent === undefined) {
    const parts = await partsOf(content ?? [], store)
    return parts.some(({ type }) => type === 'file') ? parts : textOfParts(parts) || null
  }
  const problem = schema && structureProblem(schema, structuredContent)
  if (problem !== undefined)
    throw new TidingsError('E_TOOL_OUTPUT', `the structured content does not match the schema of the tool: ${problem}`)
  const chars = JSON.stringify(structuredContent).length
  if (chars > maxStructuredChars)
    throw new TidingsError(
      'E_TOOL_OUTPUT',
      `the structured content has ${chars} characters, and ${maxStructuredChars} are allowed`,
      { next: 'Ask the tool for less, such as one page.' },
    )
  const files = (await partsOf(content ?? [], store)).filter(({ type }) => type === 'file')
  return files.length === 0 ? structuredContent : [{ type: 'text', text: JSON.stringify(structuredContent) }, ...files]
}

type Content = CallToolResult['content'][number]

/** The contents of a result as parts of a message. */
export async function partsOf(contents: readonly Content[], store: StoreFile): Promise<MessagePart[]> {
  const parts: MessagePart[] = []
  let room = maxTextChars
  for (const each of contents.slice(0, maxParts)) {
    const part = await partOf(each, store)
    if (part.type === 'text') {
      parts.push({ type: 'text', text: cut(part.text, room) })
      room = Math.max(0, room - part.text.length)
    } else parts.push(part)
  }
  const more = contents.length - parts.length
  return more > 0 ? [...parts, { type: 'text', text: `(${more} more parts were left out)` }] : parts
}

async function partOf(content: Content, store: StoreFile): Promise<MessagePart> {
  switch (content.type) {
    case 'text':
      return { type: 'text', text: content.text }
    case 'image':
    case 'audio':
      return file(content.data, content.mimeType, store)
    case 'resource':
      return resourcePart(content.resource, store)
    case 'resource_link': {
      const { name, uri, description } = content
      return { type: 'text', text: `${name}: ${uri}${description ? `\n${description}` : ''}` }
    }
    default:
      return { type: 'text', text: JSON.stringify(content) }
  }
}

/** A resource that the result contains. */
export async function resourcePart(
  resource: { readonly uri: string; readonly mimeType?: string | undefined } & ({ text: string } | { blob: string }),
  store: StoreFile,
): Promise<MessagePart> {
  if ('text' in resource) return { type: 'text', text: resource.text }
  return file(resource.blob, resource.mimeType ?? 'application/octet-stream', store)
}

async function file(base64: string, mediaType: string, store: StoreFile): Promise<MessagePart> {
  const { blob } = await store(Buffer.from(base64, 'base64'))
  return { type: 'file', mediaType, blob }
}

const textOfParts = (parts: readonly MessagePart[]) =>
  parts.flatMap(part => (part.type === 'text' ? [part.text] : [])).join('\n\n')

const cut = (text: string, room: number) =>
  text.length <= room ? text : `${text.slice(0, room)}\n(cut here: the text has ${text.length} characters)`
