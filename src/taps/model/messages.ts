import { hash } from 'node:crypto'
import type { ModelToolCall } from '../../tasks/conversation.ts'
import type { TappedFile, TappedMessage, TappedToolResult } from '../../tasks/tapped-model.ts'
import { listIn, objectIn, textIn, type JsonObject } from '../json-read.ts'

/* Messages of all protocols as messages of the log. */

interface MessageParts {
  readonly reasoning?: string | undefined
  readonly toolCalls?: readonly ModelToolCall[]
  readonly results?: readonly TappedToolResult[]
}

/** `content`: a text, or parts. Their texts and files are taken. */
export function message(role: TappedMessage['role'], content: unknown, parts: MessageParts = {}): TappedMessage {
  const { reasoning, toolCalls = [], results = [] } = parts
  const text = joinedText(content)
  const files = filesIn(content)
  return {
    role,
    ...(text && { text }),
    ...(reasoning && { reasoning }),
    ...(toolCalls.length > 0 && { toolCalls }),
    ...(results.length > 0 && { results }),
    ...(files.length > 0 && { files }),
  }
}

/** The texts of a content, joined. */
export function joinedText(content: unknown): string {
  if (typeof content === 'string') return content
  return listIn(content)
    .map(part => (typeof part === 'string' ? part : (textOfPart(objectIn(part)) ?? '')))
    .join('')
}

const textOfPart = ({ type, text, refusal }: JsonObject) =>
  type === 'thinking' || type === 'reasoning' ? undefined : (textIn(text) ?? textIn(refusal))

function filesIn(content: unknown): TappedFile[] {
  return listIn(content).flatMap(part => fileOf(objectIn(part)) ?? [])
}

function fileOf(part: JsonObject): TappedFile | undefined {
  switch (part.type) {
    case 'image_url':
      return atUrl(textIn(objectIn(part.image_url).url) ?? textIn(part.image_url), 'image/*')
    case 'input_image':
      return atUrl(textIn(part.image_url), 'image/*')
    case 'input_audio': {
      const { data, format } = objectIn(part.input_audio)
      return encoded(textIn(data), `audio/${textIn(format) ?? '*'}`)
    }
    case 'file':
    case 'input_file': {
      const file = objectIn(part.file ?? part)
      return atUrl(textIn(file.file_data) ?? textIn(file.file_url) ?? textIn(file.file_id), 'application/*')
    }
    case 'image':
    case 'document': {
      const { type, media_type, data, url, file_id } = objectIn(part.source)
      if (type === 'base64') return encoded(textIn(data), textIn(media_type) ?? `${part.type}/*`)
      return atUrl(textIn(url) ?? textIn(file_id), part.type === 'image' ? 'image/*' : 'application/*')
    }
    default:
      return undefined
  }
}

function atUrl(url: string | undefined, mediaType: string): TappedFile | undefined {
  if (url === undefined) return undefined
  const [, type, data] = /^data:([^;,]*)[^,]*,(.*)$/s.exec(url) ?? []
  return data === undefined ? { mediaType, url: url.slice(0, 2_048) } : encoded(data, type || mediaType)
}

/** Size and digest of what is encoded in Base64. */
function encoded(data: string | undefined, mediaType: string): TappedFile | undefined {
  if (data === undefined) return undefined
  const bytes = Buffer.from(data, 'base64')
  return { mediaType, bytes: bytes.length, sha256: hash('sha256', bytes) }
}

/** `input`: JSON, or JSON as a text. */
export function recordedToolCall(id: unknown, name: unknown, input: unknown, i: number): ModelToolCall {
  const call = { toolCallId: textIn(id) || `call ${i}`, toolName: textIn(name) ?? '' }
  if (typeof input !== 'string') return { ...call, input: input ?? {} }
  try {
    return { ...call, input: JSON.parse(input || '{}') as unknown }
  } catch {
    return { ...call, malformed: input }
  }
}

/** The output of a tool as the text that the model reads. */
export const textOfOutput = (output: unknown): string =>
  typeof output === 'string' ? output.trim() : JSON.stringify(output)

/** The output is a text, where the content has no more than texts. */
export function toolResult(id: unknown, content: unknown, isError?: unknown): TappedToolResult {
  const isText = listIn(content).every(part => textOfPart(objectIn(part)) !== undefined)
  const output =
    typeof content === 'string' ? content : Array.isArray(content) && isText ? joinedText(content) : content
  return { toolCallId: textIn(id) ?? '', output: output ?? null, ...(isError === true && { isError }) }
}
