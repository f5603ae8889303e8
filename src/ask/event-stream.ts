import { CallError } from '../tasks/script.ts'
import type { StreamPart } from './parts.ts'

/*
 * What a task does as server-sent events:
 *
 *     event: task      the id of the task
 *     event: TYPE      a part of the stream, by its type
 *     event: result    the output, or `failed` with the error of the task
 *
 * The stream ends without the last event if this process stops before the task ends: the client asks for the task again by its id.
 */

/** Proxies close a connection that is silent for longer. */
const keepAliveMs = 15_000

export interface StreamedTask {
  readonly id: string
  /** Ends when the signal aborts; throws as `result` if the task fails. */
  parts(signal: AbortSignal): AsyncIterable<StreamPart>
  result(): Promise<unknown>
}

/** Streams until the task ends, or the client goes away. The task goes on. */
export function eventStream(task: StreamedTask): Response {
  const gone = new AbortController()
  const events = eventsOf(task, gone.signal)
  let timer: NodeJS.Timeout | undefined
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      timer = setInterval(() => {
        if ((controller.desiredSize ?? 0) > 0) controller.enqueue(encoder.encode(': \n\n'))
      }, keepAliveMs)
      timer.unref()
    },
    async pull(controller) {
      const { value, done } = await events.next().catch(() => ({ value: undefined, done: true }))
      if (value !== undefined) return controller.enqueue(encoder.encode(value))
      clearInterval(timer)
      if (done && !gone.signal.aborted) controller.close()
    },
    cancel() {
      clearInterval(timer)
      gone.abort()
    },
  })
  return new Response(body, { headers })
}

const encoder = new TextEncoder()
const headers = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-cache, no-transform',
  // Otherwise nginx collects events before it sends them.
  'x-accel-buffering': 'no',
}

async function* eventsOf({ id, parts, result }: StreamedTask, signal: AbortSignal): AsyncGenerator<string> {
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
