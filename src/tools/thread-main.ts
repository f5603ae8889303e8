import { parentPort, workerData } from 'node:worker_threads'
import { failureData, TidingsError, type ErrorCode } from '../errors.ts'
import { jsonOf } from '../json.ts'
import type { ThreadMessage, ThreadBlob, ThreadRequest } from './thread.ts'
import { runTool, type AnyTool, type ToolContext } from './tool.ts'

const { module, tool: name, input, context } = workerData as ThreadRequest
const post = (answer: ThreadMessage) => parentPort!.postMessage(answer)

try {
  const app = ((await import(module)) as { default?: { use?: readonly Partial<AnyTool>[] } }).default
  const tool = app?.use?.find(member => member.kind === 'tool' && member.name === name) as AnyTool | undefined
  if (!tool) throw new TidingsError('E_APP_INVALID', `the default export of ${module} has no tool "${name}"`)
  // An abort terminates the thread, so its signal never fires.
  const inside: ToolContext = {
    ...context,
    signal: new AbortController().signal,
    progress: progress => post({ progress: jsonOf(progress, 'the argument of progress()') }),
    blob,
  }
  post({ output: await runTool(tool, input, inside) })
} catch (error) {
  post({ error: failureData(error, 'E_TOOL_THREW') })
}

function blob(reference: string): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const onMessage = (message: ThreadBlob) => {
      if (message.reference !== reference) return
      parentPort!.off('message', onMessage)
      if ('bytes' in message) resolve(message.bytes)
      else reject(new TidingsError(message.error.code as ErrorCode, message.error.message))
    }
    parentPort!.on('message', onMessage)
    post({ wants: reference })
  })
}
