import type { UIMessageChunk } from 'ai'
import type { Client } from '../../ask/client.ts'
import type { Bus } from '../../bus/bus.ts'
import { CallError } from '../../tasks/script.ts'
import { openAmong } from '../threads/waiting.ts'
import { ChatChunks } from './chunks.ts'

export interface StreamedMessage {
  readonly bus: Bus
  readonly client: Client
  readonly task: string
  readonly fileUrl: (blob: string, mediaType: string) => string
  /**
   * The client has the message up to where it waited for this approval, or up to the answer if something else went on meanwhile. Default:
   * nothing.
   */
  readonly answered?: string
}

/** The chunks of the message that a task is, until it ends or waits for people. Ends early when the signal aborts. */
export async function* messageChunks(message: StreamedMessage, signal?: AbortSignal): AsyncGenerator<UIMessageChunk> {
  const { bus, client, task, fileUrl, answered } = message
  const handle = client.handle(task)
  const chunks = new ChatChunks(task, fileUrl)
  yield { type: 'start', messageId: task, messageMetadata: { task } }
  let isKnown = answered !== undefined
  try {
    for await (const part of handle.stream({ signal })) {
      const made = chunks.add(part)
      if (part.type === 'answer' && part.call === answered) isKnown = false
      if (!isKnown) yield* made
      if (isKnown) isKnown = !chunks.work.waitsFor.includes(answered!)
      else if ((await openAmong(bus, chunks.work)).length > 0) return yield* chunks.end()
    }
    if (signal?.aborted) return
    yield* chunks.complete(await handle.result())
  } catch (error) {
    if (!(error instanceof CallError)) throw error
    const { code, message: problem } = error.data
    yield code === 'E_TASK_CANCELLED'
      ? { type: 'abort', reason: problem }
      : { type: 'error', errorText: `${code}: ${problem}` }
    if (code !== 'E_TASK_CANCELLED') yield* chunks.end()
  }
}
