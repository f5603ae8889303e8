import { failure } from '../../errors.ts'
import type { JsonRpcMessage } from '../mcp/json-rpc.ts'
import { McpObserver } from '../mcp/observer.ts'
import { ToolCallRecorder } from '../mcp/tool-calls.ts'
import type { Recorder } from '../recorder.ts'
import type { CallOrigin } from '../request-origin.ts'

/** What every transport of an MCP client has, in all versions of the SDK. */
export interface McpTransport {
  send(message: never, options?: never): Promise<void>
  onmessage?: ((message: never, extra?: never) => void) | undefined
  onclose?: (() => void) | undefined
}

type AnyTransport = {
  send(message: JsonRpcMessage, options?: unknown): Promise<void>
  onmessage?: ((message: JsonRpcMessage, extra?: unknown) => void) | undefined
  onclose?: (() => void) | undefined
  onerror?: ((error: Error) => void) | undefined
}

/** Records the calls of tools that a client sends over a transport. Returns the transport, which is changed. */
export function tapTransport<T extends McpTransport>(recorder: Recorder, transport: T, origin: CallOrigin): T {
  const calls = new ToolCallRecorder(recorder)
  const observer = new McpObserver<CallOrigin>(calls)
  const tapped = transport as unknown as AnyTransport
  const send = tapped.send.bind(tapped)
  tapped.send = (message, options) => {
    observer.fromClient(message, { scope: '', origin })
    return send(message, options)
  }
  /** The messages that wait, so that they stay in order. */
  let waiting: Promise<unknown> | undefined
  intercept(tapped, 'onmessage', handle => (message, extra) => {
    observer.fromServer(message, '')
    const durable = calls.requestsDurable(origin)
    if (!durable && !waiting) return handle(message, extra)
    const turn: Promise<void> = Promise.all([waiting, durable])
      .then(() => {
        if (waiting === turn) waiting = undefined
        handle(message, extra)
      })
      .catch(error => tapped.onerror?.(error))
    waiting = turn
  })
  intercept(tapped, 'onclose', handle => () => {
    observer.interrupt(failure('E_TAP_INTERRUPTED', 'the connection ended before the server had answered'))
    handle()
  })
  return transport
}

/** Puts a function before the handler that a client sets later. */
function intercept<Name extends 'onmessage' | 'onclose'>(
  transport: AnyTransport,
  name: Name,
  before: (handle: NonNullable<AnyTransport[Name]>) => NonNullable<AnyTransport[Name]>,
): void {
  let handler = transport[name]
  let wrapped = handler && before(handler)
  Object.defineProperty(transport, name, {
    configurable: true,
    enumerable: true,
    get: () => wrapped,
    set(value: typeof handler) {
      handler = value
      wrapped = value && before(value)
    },
  })
}
