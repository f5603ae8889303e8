import { CallError } from '../tasks/script.ts'
import type { StreamPart } from './parts.ts'

/*
 * What a task does as server-sent events:
 *
 *     event: task      the id of the task
 *     event: TYPE      a part of the stream, by its type
 *     event: result    the output, or `failed` with the error of the task
 *
 * The stream breaks off if this process stops before the task ends: the client asks for the task again by its id.
 */

export interface StreamedTask {
  readonly id: string
  /** Ends when the signal aborts; throws as `result` if the task fails. */
  parts(signal: AbortSignal): AsyncIterable<StreamPart>
  result(): Promise<unknown>
}

/** The frames until the task ends, or the signal aborts. */
export async function* taskFrames({ id, parts, result }: StreamedTask, signal: AbortSignal): AsyncGenerator<string> {
  yield frame('task', id)
  try {
    for await (const part of parts(signal)) yield frame(part.type, part)
    if (!signal.aborted) yield frame('result', (await result()) ?? null)
  } catch (error) {
    if (!(error instanceof CallError)) throw error
    yield frame('failed', error.data)
  }
}

const frame = (event: string, data: unknown) => `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`
