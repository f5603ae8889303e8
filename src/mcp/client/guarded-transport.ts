import type { JSONRPCMessage, Transport } from '@modelcontextprotocol/client'

/*
 * What the client of the SDK does not do for a request of a server that misbehaves: it waits for the answer although the stream of the request ended,
 * recurses into a message of any depth, and rejects an answer that says that the call became a task.
 */

/** JSON of a server that is nested more deeply is not read. Results for the log have a stricter limit. */
const maxMessageDepth = 128
const carriedKey = 'tidings/carriedTask'

/** The codes of the errors that stand for an answer, outside of the range of JSON-RPC. */
export const lostAnswerCode = -1
export const brokenAnswerCode = -2

type OnMessage = NonNullable<Transport['onmessage']>

/** Changes a transport that was not started. */
export function guardTransport<T extends Transport>(transport: T): T {
  const open = new Set<string | number>()
  let handler: OnMessage | undefined
  const guarded: OnMessage = (message, extra) => {
    const id = idOf(message)
    if (id !== undefined && !('method' in message)) open.delete(id)
    if (depthExceeds(message, maxMessageDepth)) {
      if (id !== undefined && !('method' in message))
        handler?.(failed(id, brokenAnswerCode, 'the answer is nested too deeply'))
      return
    }
    handler?.(withTask(message) as typeof message, extra)
  }
  Object.defineProperty(transport, 'onmessage', {
    configurable: true,
    enumerable: true,
    get: () => handler && guarded,
    set: (next: OnMessage | undefined) => {
      if (next !== guarded) handler = next
    },
  })
  const send = transport.send.bind(transport)
  transport.send = (message, options) => {
    const id = 'method' in message ? idOf(message) : undefined
    if (id === undefined) return send(message, options)
    open.add(id)
    const request = withoutEmptyCursor(message)
    const onRequestStreamEnd = () => {
      options?.onRequestStreamEnd?.()
      if (open.delete(id)) handler?.(failed(id, lostAnswerCode, 'the connection ended before the answer'))
    }
    return send(request, { ...options, onRequestStreamEnd })
  }
  return transport
}

const idOf = (message: JSONRPCMessage): string | number | undefined => ('id' in message ? message.id : undefined)

/** With a cursor the SDK fetches one page, and without one all of them, whatever their size: see listTools(). */
function withoutEmptyCursor(message: JSONRPCMessage): JSONRPCMessage {
  const { method, params } = message as { method?: string; params?: { cursor?: unknown } }
  if (method !== 'tools/list' || params?.cursor !== '') return message
  const { cursor: _, ...rest } = params
  return { ...message, params: rest }
}

const failed = (id: string | number, code: number, message: string): JSONRPCMessage => ({
  jsonrpc: '2.0',
  id,
  error: { code, message },
})

/** Without recursion. */
function depthExceeds(value: unknown, max: number): boolean {
  let level: unknown[] = [value]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > max) return true
    level = level.flatMap(each => (typeof each === 'object' && each !== null ? Object.values(each) : []))
  }
  return false
}

/** The answer `resultType: "task"` of the extension, as an ordinary result that carries the task. */
function withTask(message: JSONRPCMessage): JSONRPCMessage {
  const { result } = message as { result?: Readonly<Record<string, unknown>> }
  // A server may not use the key itself.
  if (result?.resultType !== 'task') return withoutCarried(message, result)
  const { _meta: meta, ...task } = result
  const carried = { ...(meta as object | undefined), [carriedKey]: task }
  return { ...message, result: { resultType: 'complete', content: [], _meta: carried } }
}

function withoutCarried(
  message: JSONRPCMessage,
  result: Readonly<Record<string, unknown>> | undefined,
): JSONRPCMessage {
  const meta = result?._meta as object | undefined
  if (typeof meta !== 'object' || meta === null || !(carriedKey in meta)) return message
  const { [carriedKey]: _, ...rest } = meta as Record<string, unknown>
  return { ...message, result: { ...result, _meta: rest } }
}

/** The task that a result carries. */
export const carriedTask = (result: { readonly _meta?: Readonly<Record<string, unknown>> | undefined }): unknown =>
  result._meta?.[carriedKey]
