import { randomUUIDv7 } from 'node:crypto'
import { correlationFrom } from '../../bus/ids.ts'
import { log } from '../../bus/telemetry/log.ts'
import { failure } from '../../errors.ts'
import { tapTarget } from '../../bus/tapped.ts'
import { CaptureRoom } from '../capture-room.ts'
import { credentialsIn } from '../credentials.ts'
import type { ForwardEnd, ForwardListener, RequestHead } from '../forward.ts'
import { unreachableResponse } from '../proxy.ts'
import type { Recorder } from '../recorder.ts'
import { requestOrigin, type CallOrigin, type OriginHeaders } from '../request-origin.ts'
import { McpExchange, sessionOf, type McpExchangeEnd } from './http-exchange.ts'
import { McpObserver } from './observer.ts'
import { ToolCallRecorder } from './tool-calls.ts'

/** What sees the exchanges between MCP clients and a server over HTTP, and records calls of tools. */
export class McpTap {
  readonly #recorder: Recorder
  readonly #origin: OriginHeaders
  readonly #calls: ToolCallRecorder
  readonly #observer: McpObserver<CallOrigin>
  readonly #room = new CaptureRoom()
  #exchanges = 0

  constructor(recorder: Recorder, origin: OriginHeaders = {}) {
    this.#recorder = recorder
    this.#origin = origin
    this.#calls = new ToolCallRecorder(recorder)
    this.#observer = new McpObserver(this.#calls)
  }

  observe({ method = 'GET', url: path = '/', headers }: RequestHead): ForwardListener {
    const session = sessionOf({ path, headers })
    // A session is one correlation, also after a restart of the tap.
    const fallback = () =>
      session === undefined ? randomUUIDv7() : correlationFrom(`${tapTarget(this.#recorder.name)}\0${session}`)
    const origin = { ...requestOrigin(headers, this.#origin, fallback), secrets: credentialsIn(headers, path) }
    const exchange = new McpExchange(
      { method, path, headers, origin },
      {
        observer: this.#observer,
        name: String(++this.#exchanges),
        share: this.#room.share(),
        onUnread: why => this.#unread(why),
      },
    )
    return {
      onRequestChunk: chunk => exchange.requestChunk(chunk),
      onRequestEnd: () => exchange.requestEnd(),
      onResponse: async head => {
        exchange.response(head)
        await this.#calls.requestsDurable(origin)
      },
      onResponseChunk: chunk => exchange.responseChunk(chunk),
      onEnd: end => exchange.end(exchangeEndOf(end)),
      unreachableResponse,
    }
  }

  /** Ends the calls that are open. */
  async stop(): Promise<void> {
    this.#observer.interrupt(failure('E_TAP_INTERRUPTED', 'the tap stopped before the call was answered'))
  }

  #unread(why: string): void {
    log.warn?.({ tap: this.#recorder.name }, `a message was forwarded and not recorded: ${why}`)
  }
}

const exchangeEndOf = (end: ForwardEnd): McpExchangeEnd =>
  'error' in end
    ? { kind: 'lost', why: `the server gave no complete response: ${end.error.message}` }
    : { kind: end.kind }
