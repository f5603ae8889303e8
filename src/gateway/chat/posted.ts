import { z } from 'zod'
import type { RequestOfThread, ThreadHistory } from '../../ask/thread-history.ts'
import { TidingsError } from '../../errors.ts'
import type { MessagePart } from '../../tasks/conversation.ts'
import type { PostedAnswer } from '../commands/approvals.ts'
import { filePart, inputOfParts, type PostedFiles } from '../threads/posted-file.ts'

/*
 * What a client of the AI SDK posts: its whole conversation. Of that, only this is taken: the messages of the user after the last answer that
 * the thread knows, and answers to requests for approval. Everything else is what the client believes, and the log knows better.
 */

/** The body of `POST /ui/chat/AGENT`, as `DefaultChatTransport` sends it. Unknown fields are ignored. */
export const chatBody = z.object({
  /** Of the chat: the thread. */
  id: z.string().min(1).max(256),
  trigger: z.enum(['submit-message', 'regenerate-message']).default('submit-message'),
  messages: z
    .array(
      z.object({
        id: z.string().min(1).max(256),
        role: z.enum(['system', 'user', 'assistant']),
        parts: z.array(z.looseObject({ type: z.string() })),
      }),
    )
    .min(1)
    .max(10_000),
})

export type ChatBody = z.infer<typeof chatBody>
type PostedMessage = ChatBody['messages'][number]

/** What a post asks for. */
export type Posted =
  /** New messages of the user. `known`: the newest request of the last one. `isAnother`: the client wants another answer to it. */
  | {
      readonly kind: 'messages'
      readonly after: string | null
      readonly messages: readonly PostedMessage[]
      readonly known: RequestOfThread | undefined
      readonly isAnother: boolean
    }
  | { readonly kind: 'answers'; readonly task: string; readonly answers: readonly PostedAnswer[] }

/** @throws E_REQUEST_INVALID */
export function readPost({ messages, trigger }: ChatBody, history: ThreadHistory): Posted {
  const last = messages.at(-1)!
  if (last.role === 'assistant' && trigger === 'submit-message') {
    const answers = answersIn(last)
    if (answers.length > 0) return { kind: 'answers', task: last.id, answers }
    throw invalid(
      'the last message is of the assistant, and answers no request for approval: post a message of the user',
    )
  }
  const answered = messages.findLastIndex(({ role, id }) => role === 'assistant' && history.branch(id).length > 0)
  const fresh = messages.slice(answered + 1).filter(({ role }) => role === 'user')
  if (fresh.length === 0) throw invalid('there is no message of the user after the last answer')
  const after = answered < 0 ? null : messages[answered]!.id
  const known = history.requestAfter(after, fresh.at(-1)!.id)
  return { kind: 'messages', after, messages: fresh, known, isAnother: trigger === 'regenerate-message' }
}

function answersIn({ parts }: PostedMessage): PostedAnswer[] {
  return parts.flatMap(part => {
    if (part.state !== 'approval-responded') return []
    const found = postedApproval.safeParse(part.approval)
    if (!found.success) return []
    const { id, approved, signature: hash, reason: comment } = found.data
    return [{ id, approved, hash, ...(comment && { comment }) }]
  })
}

const postedApproval = z.object({
  id: z.string(),
  approved: z.boolean(),
  signature: z.string(),
  reason: z.string().optional(),
})

/** The text of a single message, else the parts of all. Files that the client sends with the message are stored as blobs. @throws E_REQUEST_INVALID */
export async function inputOfMessages(files: PostedFiles, messages: readonly PostedMessage[]): Promise<unknown> {
  const parts: MessagePart[] = []
  for (const { parts: posted } of messages)
    for (const part of posted) {
      const read = postedPart.safeParse(part)
      if (!read.success) throw invalid(`a part of the type ${JSON.stringify(part.type.slice(0, 64))} is not accepted`)
      if (read.data.type === 'text') parts.push(read.data)
      else parts.push(await filePart(files, read.data))
    }
  if (parts.length > 0) return inputOfParts(parts)
  throw invalid('the message of the user has no text and no file')
}

const postedPart = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text'), text: z.string() }),
  z.object({
    type: z.literal('file'),
    mediaType: z.string().min(1).max(128),
    filename: z.string().max(256).optional(),
    url: z.string(),
  }),
])

const invalid = (problem: string) => new TidingsError('E_REQUEST_INVALID', problem)
