import { failure, type ErrorData } from '../../errors.ts'
import { callEndOf, cancelledBy, type CallEnd, type JsonFields } from './call-end.ts'
import { idOf, isAnswer, type JsonRpcMessage } from './json-rpc.ts'
import { objectIn } from '../json-read.ts'
import { ToolListingReader, type ToolListing } from './tool-listing.ts'

/** What a client asks of a tool. */
export interface ObservedCall<Origin> {
  readonly tool: string
  readonly data: { readonly input: unknown; readonly inputResponses?: unknown }
  /** The trace context that the client sent in `_meta` (SEP-414). */
  readonly traceparent?: string | undefined
  readonly origin: Origin
}

/** A call that has begun. */
export interface ObservedCallRecord {
  end(end: CallEnd): void
  progress(data: object): void
}

/** What an observer reports. */
export interface McpListener<Origin> {
  begin(call: ObservedCall<Origin>): ObservedCallRecord
  listed(listing: ToolListing): void
}

/** How messages passed. */
export interface MessageContext<Origin> {
  /** Ids of requests are unique in it: the connection, the session, or an HTTP exchange where there are no sessions. */
  readonly scope: string
  /** The HTTP exchange. */
  readonly exchange?: object
  readonly origin: Origin
}

interface OpenCall {
  readonly record: ObservedCallRecord
  readonly scope: string
  readonly exchange: object | undefined
  readonly progressToken: unknown
  lastProgress: number
}

/** Progress is shown live; nobody can read it more often than this. */
const progressIntervalMs = 100
/** Of all clients. A server that never answers must not fill the memory. */
const maxOpenCalls = 10_000

/**
 * Reads the messages between MCP clients and a server in the order in which they passed, and reports calls of tools and lists of tools. Clients
 * number their requests. The server may send requests too, with numbers of its own; they are not calls of tools.
 */
export class McpObserver<Origin> {
  readonly #listener: McpListener<Origin>
  readonly #calls = new Map<string, OpenCall>()
  readonly #listings: ToolListingReader

  constructor(listener: McpListener<Origin>) {
    this.#listener = listener
    this.#listings = new ToolListingReader(listing => listener.listed(listing))
  }

  get openCalls(): number {
    return this.#calls.size
  }

  fromClient(message: JsonRpcMessage, context: MessageContext<Origin>): void {
    const { method } = message
    const params = objectIn(message.params)
    if (method === 'notifications/cancelled') return this.#cancel(params, context.scope)
    const key = keyOf(message, context.scope)
    if (key === undefined) return
    if (method === 'tools/call') this.#begin(key, params, context)
    else if (method === 'tools/list') this.#listings.requested(key, params.cursor)
    else if (method === 'initialize' || method === 'server/discover') this.#listings.greeted(key)
  }

  fromServer(message: JsonRpcMessage, scope: string): void {
    if (message.method === 'notifications/progress') return this.#progress(objectIn(message.params), scope)
    const key = isAnswer(message) ? keyOf(message, scope) : undefined
    if (key === undefined) return
    if (this.#calls.has(key)) this.#end(key, callEndOf(message))
    else this.#listings.answered(key, message.result)
  }

  /** Ends the open calls that nobody will answer any more: those of a scope, of an exchange, or all. */
  interrupt(error: ErrorData, of: { readonly scope?: string; readonly exchange?: object } = {}): void {
    for (const [key, { scope, exchange }] of this.#calls)
      if ((of.scope ?? scope) === scope && (of.exchange ?? exchange) === exchange) this.#end(key, { error })
  }

  #begin(key: string, params: JsonFields, { scope, exchange, origin }: MessageContext<Origin>): void {
    const { name: tool, arguments: input = {}, inputResponses } = params
    if (typeof tool !== 'string') return
    this.#end(key, { error: reusedId })
    if (this.#calls.size >= maxOpenCalls) this.#end(this.#calls.keys().next().value!, { error: tooManyOpen })
    const { traceparent, progressToken } = objectIn(params._meta)
    const record = this.#listener.begin({
      tool,
      data: { input, ...(inputResponses !== undefined && { inputResponses }) },
      ...(typeof traceparent === 'string' && { traceparent }),
      origin,
    })
    this.#calls.set(key, { record, scope, exchange, progressToken, lastProgress: 0 })
  }

  #cancel({ requestId, reason }: JsonFields, scope: string): void {
    const key = keyOf({ id: requestId }, scope)
    if (key !== undefined) this.#end(key, { error: cancelledBy(reason) })
  }

  #progress({ progressToken, ...progress }: JsonFields, scope: string): void {
    if (progressToken === undefined) return
    const call = this.#calls.values().find(each => each.scope === scope && each.progressToken === progressToken)
    if (!call || Date.now() - call.lastProgress < progressIntervalMs) return
    call.lastProgress = Date.now()
    call.record.progress(progress)
  }

  #end(key: string, end: CallEnd): void {
    this.#calls.get(key)?.record.end(end)
    this.#calls.delete(key)
  }
}

/** A text and a number are different ids, even if they look the same. */
function keyOf(message: JsonRpcMessage, scope: string): string | undefined {
  const id = idOf(message)
  return id === undefined ? undefined : `${scope}\0${typeof id}\0${id}`
}

const reusedId = failure('E_TAP_INTERRUPTED', 'the client used the id of the request again before it was answered')
const tooManyOpen = failure(
  'E_TAP_INTERRUPTED',
  `more than ${maxOpenCalls} calls are open: the oldest one was given up`,
)
