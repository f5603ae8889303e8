import { Worker } from 'node:worker_threads'
import { type ErrorCode, errorData, TidingsError, type ErrorData } from '../errors.ts'
import type { Json } from '../json.ts'
import type { AnyTool, ToolContext } from './tool.ts'

export interface ThreadRequest {
  module: string
  tool: string
  input: unknown
  context: Omit<ToolContext, 'signal' | 'progress' | 'blob'>
}

/** Messages of the thread: progress and requests for blobs, then one result. */
export type ThreadMessage = { progress: Json } | { wants: string } | { output: Json } | { error: ErrorData }

export type ThreadBlob = { reference: string } & ({ bytes: Uint8Array } | { error: ErrorData })

/** Runs a tool in its own thread. An abort terminates the thread. */
export function runInThread(
  tool: AnyTool,
  module: string | undefined,
  input: unknown,
  context: ToolContext,
): Promise<Json> {
  if (!module)
    throw new TidingsError(
      'E_APP_INVALID',
      `"${tool.name}" is a blocking tool, whose thread must load the app: start the app with { module: import.meta.url }`,
    )
  const { signal, progress, blob, ...plain } = context
  const workerData: ThreadRequest = { module, tool: tool.name, input, context: plain }
  const worker = new Worker(new URL(`./thread-main${import.meta.url.slice(-3)}`, import.meta.url), { workerData })
  const end = () => void worker.terminate()
  const found = (reference: string): Promise<ThreadBlob> =>
    blob(reference).then(
      bytes => ({ reference, bytes }),
      (error: unknown) => ({ reference, error: errorData(error, 'E_BLOB_MISSING') }),
    )
  signal.addEventListener('abort', end, { once: true })
  return new Promise<Json>((resolve, reject) => {
    const forwardProgress = (data: unknown) => {
      try {
        progress(data)
      } catch (error) {
        // Thrown in a listener, the error would end the process.
        reject(error)
      }
    }
    worker.on('message', (answer: ThreadMessage) => {
      if ('progress' in answer) forwardProgress(answer.progress)
      else if ('wants' in answer) void found(answer.wants).then(it => worker.postMessage(it))
      else if ('output' in answer) resolve(answer.output)
      // With `node --watch` a thread also sends the names of the files that it loads.
      else if ('error' in answer) {
        const { code, message, originalCode, stack } = answer.error
        reject(new TidingsError(code as ErrorCode, message, { originalCode, cause: { stack } }))
      }
    })
    worker.on('error', reject)
    worker.on('exit', code =>
      reject(new TidingsError('E_TOOL_THREW', `the thread of "${tool.name}" exited with code ${code}`)),
    )
  }).finally(() => {
    signal.removeEventListener('abort', end)
    end()
  })
}
