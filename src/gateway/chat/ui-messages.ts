import { readUIMessageStream, type FileUIPart, type TextUIPart, type UIMessage, type UIMessageChunk } from 'ai'
import type { RequestOfThread } from '../../ask/thread-history.ts'
import { isMessagePart } from '../../tasks/conversation.ts'
import { inputOf } from '../../tasks/program.ts'
import { messageChunks, type StreamedMessage } from './message-stream.ts'

/** A request of a thread as messages of the AI SDK: that of the user, and the answer unless the task runs. */
export async function uiMessages(
  message: Omit<StreamedMessage, 'task'>,
  { task, request, message: id = request.id, end }: RequestOfThread,
): Promise<UIMessage[]> {
  const user: UIMessage = { id, role: 'user', parts: userParts(inputOf(request), message.fileUrl) }
  if (!end) return [user]
  const stream = ReadableStream.from<UIMessageChunk>(messageChunks({ ...message, task }))
  let answer: UIMessage | undefined
  for await (const state of readUIMessageStream({ stream, onError: () => {} })) answer = state
  return answer ? [user, answer] : [user]
}

function userParts(input: unknown, fileUrl: StreamedMessage['fileUrl']): (TextUIPart | FileUIPart)[] {
  const parts = Array.isArray(input) && input.every(isMessagePart) ? input : undefined
  if (!parts) return [{ type: 'text', text: typeof input === 'string' ? input : JSON.stringify(input) }]
  return parts.map(part =>
    part.type === 'text'
      ? part
      : {
          type: 'file',
          mediaType: part.mediaType,
          ...(part.filename !== undefined && { filename: part.filename }),
          url: 'url' in part ? part.url : fileUrl(part.blob, part.mediaType),
        },
  )
}
