import type { ContentPart, Message, ResumeEntry, RunAgentInput, ToolMessage, UserMessage } from '@ag-ui/core'
import { z } from 'zod'
import type { ThreadHistory } from '../../ask/thread-history.ts'
import { answerTo } from '../../bus/answer.ts'
import type { Bus } from '../../bus/bus.ts'
import { failure, TidingsError } from '../../errors.ts'
import type { CloudEvent } from '../../event.ts'
import { isMessagePart, type MessagePart } from '../../tasks/conversation.ts'
import { inputOf } from '../../tasks/program.ts'
import { isUiToolName, uiFailedType, uiResultType, type UiTool } from '../../tasks/ui-tools.ts'
import type { PostedAnswer } from '../commands/approvals.ts'
import { filePart, inputOfParts, type PostedFiles } from '../threads/posted-file.ts'

/*
 * What a client of AG-UI posts: its whole conversation. The messages of the user are followed along the thread, and only those after the last
 * one that the thread has are taken: a changed history branches there. All else is what the client believes, and the log knows better.
 */

export interface PostedRun {
  /** The last task that the client and the thread have in common; undefined at the beginning. */
  readonly known: string | undefined
  /** What the user said after it. */
  readonly fresh: readonly UserMessage[]
}

/** Follows the messages of the user along the thread. */
export async function readMessages(bus: Bus, posted: readonly Message[], history: ThreadHistory): Promise<PostedRun> {
  let known: string | undefined
  let fresh: UserMessage[] = []
  for (const message of posted) {
    if (message.role !== 'user') continue
    fresh.push(message)
    const found = history.requestAfter(known ?? null, message.id)
    if (!found || !saysSame(bus, inputOf(found.request), fresh)) continue
    known = found.task
    fresh = []
  }
  return { known, fresh }
}

/** Whether the client still has the text of the request, whatever it now shows. Files are the same if the id of the message is. */
function saysSame(bus: Bus, input: unknown, messages: readonly UserMessage[]): boolean {
  const textOf = (parts: unknown) =>
    typeof parts === 'string'
      ? parts
      : Array.isArray(parts)
        ? parts.flatMap(part => (part?.type === 'text' ? [part.text] : [])).join('\n')
        : JSON.stringify(parts)
  const posted = bus.redactor.text(messages.map(({ content }) => textOf(content)).join('\n'))
  const hasContext = Array.isArray(input) && isContext(input[0])
  return textOf(input) === posted || (hasContext && textOf(input.slice(1)) === posted)
}

/** The input of the request: a text, or parts if there is more. @throws E_REQUEST_INVALID */
export async function runInputOf(
  files: PostedFiles,
  messages: readonly UserMessage[],
  context: RunAgentInput['context'],
): Promise<unknown> {
  const parts: MessagePart[] = []
  const shown = context.map(({ description, value }) => `${description}: ${value}`).join('\n')
  if (shown !== '') parts.push({ type: 'text', text: `${contextHeading}${shown}` })
  for (const { content } of messages)
    for (const part of typeof content === 'string' ? [{ type: 'text', text: content } as const] : content)
      parts.push(part.type === 'text' ? { type: 'text', text: part.text } : await filePart(files, fileOf(part)))
  return inputOfParts(parts)
}

function fileOf({ type, source }: Exclude<ContentPart, { type: 'text' }>) {
  if (source.type === 'file') throw invalid('a file that a provider stores is not accepted: send its data or its URL')
  const mediaType = source.mimeType ?? (type === 'document' ? 'application/octet-stream' : `${type}/*`)
  const url = source.type === 'data' ? `data:${mediaType};base64,${source.value}` : source.value
  return { mediaType, url }
}

/** Before the `context` of a run in the input of its request. */
const contextHeading = 'What the user sees:\n'
const isContext = (part: unknown) => isMessagePart(part) && part.type === 'text' && part.text.startsWith(contextHeading)

/** The message of the user that a request is, without the context. */
export function userMessage(
  id: string,
  input: unknown,
  fileUrl: (blob: string, mediaType: string) => string,
): UserMessage {
  if (!Array.isArray(input) || !input.every(isMessagePart))
    return { id, role: 'user', content: typeof input === 'string' ? input : JSON.stringify(input) }
  const said = input.filter(part => !isContext(part))
  if (said.length === 1 && said[0]!.type === 'text') return { id, role: 'user', content: said[0]!.text }
  const content = said.map((part): ContentPart => {
    if (part.type === 'text') return part
    const { mediaType } = part
    const kind = /^(image|audio|video)\//.exec(mediaType)?.[1] as 'image' | 'audio' | 'video' | undefined
    const value = 'url' in part ? part.url : fileUrl(part.blob, mediaType)
    return { type: kind ?? 'document', source: { type: 'url', value, mimeType: mediaType } }
  })
  return { id, role: 'user', content }
}

/** A person's answer to an interrupt. `hash`: undefined if the person closed the request without an answer, which denies it. */
export type ResumedAnswer = Omit<PostedAnswer, 'hash'> & { readonly hash: string | undefined }

/** @throws E_REQUEST_INVALID */
export function answerIn({ interruptId: id, status, payload }: ResumeEntry): ResumedAnswer {
  if (status === 'cancelled') return { id, approved: false, hash: undefined }
  const read = resumePayload.safeParse(payload)
  if (!read.success) throw invalid(`the payload for the interrupt ${id} must be { approved, hash, comment? }`)
  const { approved, hash, comment } = read.data
  return { id, approved, hash, ...(comment && { comment }) }
}

const resumePayload = z.object({ approved: z.boolean(), hash: z.string(), comment: z.string().optional() })

const maxUiTools = 128

/** The tools that the user interface declares. @throws E_REQUEST_INVALID */
export function uiTools(declared: RunAgentInput['tools']): UiTool[] {
  if (declared.length > maxUiTools) throw invalid(`there are ${declared.length} tools; the maximum is ${maxUiTools}`)
  const wrong = declared.find(({ name }) => !isUiToolName(name))
  if (wrong) throw invalid(`the name of the tool ${JSON.stringify(wrong.name)} may have only letters, digits, _ and -`)
  return declared.map(({ name, description, parameters }) => ({
    name,
    description,
    input: isObject(parameters) ? parameters : { type: 'object', properties: {} },
  }))
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The answer of the user interface to a call of one of its tools. */
export function uiAnswer(call: CloudEvent, { content, error }: ToolMessage): CloudEvent {
  if (error === undefined) return answerTo(call, '/gateway', uiResultType, { output: content })
  return answerTo(call, '/gateway', uiFailedType, { error: failure('E_TOOL_THREW', error) })
}

const invalid = (problem: string) => new TidingsError('E_REQUEST_INVALID', problem)
