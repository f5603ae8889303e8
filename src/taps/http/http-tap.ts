import type { IncomingMessage } from 'node:http'
import { failure, type ErrorData } from '../../errors.ts'
import type { ForwardEnd, ForwardListener } from '../forward.ts'
import { unreachableResponse } from '../proxy.ts'
import type { Recorder } from '../recorder.ts'
import { requestOrigin, type OriginHeaders } from '../request-origin.ts'
import { RecordedExchange } from './recorded-exchange.ts'
import { Routes } from './routes.ts'

export interface HttpTapOptions extends OriginHeaders {
  /** The routes that are recorded, such as `GET /reports/:id`. All others are only forwarded. */
  readonly routes: readonly string[]
  /** Of larger bodies only size and digest are recorded. Default 1 MiB. */
  readonly maxBodyBytes?: number | undefined
}

export const defaultMaxBodyBytes = 1024 * 1024

/** What sees the exchanges of a reverse proxy, and records those of the named routes. */
export class HttpTap {
  readonly #recorder: Recorder
  readonly #options: HttpTapOptions
  readonly #routes: Routes
  readonly #ending = new Set<Promise<void>>()

  /** @throws E_SETTING_INVALID */
  constructor(recorder: Recorder, options: HttpTapOptions) {
    this.#recorder = recorder
    this.#options = options
    this.#routes = new Routes(options.routes)
  }

  observe({ method = 'GET', url = '/', rawHeaders, headers }: IncomingMessage): ForwardListener {
    const match = this.#routes.match(method, url.split('?', 1)[0]!)
    if (!match) return { unreachableResponse }
    const { maxBodyBytes = defaultMaxBodyBytes } = this.#options
    const origin = requestOrigin(headers, this.#options)
    const exchange = new RecordedExchange(
      this.#recorder,
      { method, target: url, rawHeaders, match, origin },
      maxBodyBytes,
    )
    return {
      onRequestChunk: chunk => exchange.requestChunk(chunk),
      onRequestEnd: () => exchange.requestEnd(),
      onResponse: async head => {
        exchange.response(head.status, head.rawHeaders)
        await exchange.durable()
      },
      onResponseChunk: chunk => exchange.responseChunk(chunk),
      onEnd: end => this.#end(exchange.end(errorOf(end))),
      unreachableResponse,
    }
  }

  /** Resolves when the ends of all exchanges have been passed to the recorder. */
  async stop(): Promise<void> {
    await Promise.all(this.#ending)
  }

  #end(ended: Promise<void>): void {
    this.#ending.add(ended)
    void ended.finally(() => this.#ending.delete(ended))
  }
}

function errorOf(end: ForwardEnd): ErrorData | undefined {
  switch (end.kind) {
    case 'complete':
      return undefined
    case 'aborted':
      return failure('E_TAP_CANCELLED', 'the client closed the connection before the response was complete')
    case 'cut':
      return failure('E_TAP_UPSTREAM', `the response broke off: ${end.error.message}`)
    case 'unreachable':
      return failure('E_TAP_UPSTREAM', `there was no response: ${end.error.message}`)
  }
}
