import { failure, type ErrorData } from '../../errors.ts'
import type { ForwardEnd, ForwardListener, RequestHead } from '../forward.ts'
import { unreachableResponse } from '../proxy.ts'
import type { Recorder } from '../recorder.ts'
import { CaptureRoom } from '../capture-room.ts'
import { requestOrigin, type OriginHeaders } from '../request-origin.ts'
import { RecordedExchange } from './recorded-exchange.ts'
import { Routes } from './routes.ts'

/** What is recorded of HTTP, and for whom. */
export interface HttpTapOptions extends OriginHeaders {
  /** The routes that are recorded, such as `GET /reports/:id`. All others are only forwarded. */
  readonly routes: readonly string[]
  /** Of larger bodies only size and digest are recorded. Default 1 MiB. */
  readonly maxBodyBytes?: number | undefined
}

const defaultMaxBodyBytes = 1024 * 1024

/** What sees the exchanges of a reverse proxy, and records those of the named routes. */
export class HttpTap {
  readonly #recorder: Recorder
  readonly #options: HttpTapOptions
  readonly #routes: Routes
  readonly #ending = new Set<Promise<void>>()
  readonly #room = new CaptureRoom()

  /** @throws E_SETTING_INVALID */
  constructor(recorder: Recorder, options: HttpTapOptions) {
    this.#recorder = recorder
    this.#options = options
    this.#routes = new Routes(options.routes)
  }

  get maxBodyBytes(): number {
    return this.#options.maxBodyBytes ?? defaultMaxBodyBytes
  }

  observe(head: RequestHead): ForwardListener {
    const exchange = this.begin(head)
    if (!exchange) return { unreachableResponse }
    return {
      onRequestChunk: chunk => exchange.requestChunk(chunk),
      onRequestEnd: () => exchange.requestEnd(),
      onResponse: async ({ status, rawHeaders }) => {
        exchange.response(status, rawHeaders)
        await exchange.durable()
      },
      onResponseChunk: chunk => exchange.responseChunk(chunk),
      onEnd: end => this.end(exchange, end),
      unreachableResponse,
    }
  }

  /** Begins to record a request; undefined if its route is not named. */
  begin({ method = 'GET', url: target = '/', rawHeaders, headers }: RequestHead): RecordedExchange | undefined {
    const match = this.#routes.match(method, target.split('?', 1)[0]!)
    if (!match) return undefined
    const origin = requestOrigin(headers, this.#options)
    return new RecordedExchange(
      this.#recorder,
      { method, target, rawHeaders, headers, match, origin },
      { maxBytes: this.maxBodyBytes, share: this.#room.share() },
    )
  }

  end(exchange: RecordedExchange, end: ForwardEnd): void {
    const ended = exchange.end(errorOf(end))
    this.#ending.add(ended)
    void ended.finally(() => this.#ending.delete(ended))
  }

  /** Resolves when the ends of all exchanges have been passed to the recorder. */
  async stop(): Promise<void> {
    await Promise.all(this.#ending)
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
