import type { IncomingMessage, ServerResponse } from 'node:http'
import { PassThrough, Readable } from 'node:stream'
import type { Hono } from 'hono'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import { Client } from '../ask/client.ts'
import type { Bus } from '../bus/bus.ts'
import type { GatewayEnv } from './context.ts'
import { Approvers } from './identity/approvers.ts'
import { routes } from './routes.ts'
import { Streams } from './streams/streams.ts'

/**
 * The gateway as a function of a web `Request`, to be mounted in a server of the app. That server decides who may call it: the handler
 * refuses only pages of other origins.
 */
export class WebHandler {
  readonly #streams: Streams
  readonly #client: Client
  readonly #app: Hono<GatewayEnv>

  /** `approvers`: as in the gateway. @throws E_SETTING_INVALID */
  constructor(bus: Bus, approvers: string | undefined) {
    this.#streams = new Streams({ bus })
    this.#client = new Client(bus)
    const originPolicy = { origins: new Set<string>() }
    const maxBodyBytes = 4 * 1024 * 1024
    const shared = { bus, client: this.#client, streams: this.#streams, originPolicy, maxBodyBytes }
    this.#app = routes({ ...shared, approvers: new Approvers(approvers) })
  }

  async fetch(request: Request): Promise<Response> {
    const outgoing = new StreamResponse(request.signal)
    const headers = new Headers(request.headers)
    const { host } = new URL(request.url)
    if (!headers.has('host')) headers.set('host', host)
    const env = { incoming: incomingOf(request), outgoing: outgoing as unknown as ServerResponse }
    const response = await this.#app.fetch(new Request(request.url, { method: request.method, headers }), env)
    return response === RESPONSE_ALREADY_SENT ? outgoing.response! : response
  }

  close() {
    this.#streams.close()
    this.#client.close()
  }
}

/** What the routes read of a request: its method, headers and body. */
function incomingOf({ method, headers, body }: Request): IncomingMessage {
  const entries = [...headers]
  const incoming = Object.assign(body ? Readable.fromWeb(body) : Readable.from([]), {
    method,
    headers: Object.fromEntries(entries),
    headersDistinct: Object.fromEntries(entries.map(([name, value]) => [name, [value]])),
    socket: {},
  })
  return incoming as unknown as IncomingMessage
}

/** The part of a `ServerResponse` that streams write to, as the body of a web `Response`. */
class StreamResponse extends PassThrough {
  response: Response | undefined

  constructor(signal: AbortSignal) {
    super({ signal })
    this.on('error', () => {})
  }

  writeHead(status: number, headers: Record<string, string>): this {
    // The server that the handler is mounted in owns the connection.
    const { connection: _, ...own } = headers
    this.response = new Response(Readable.toWeb(this), { status, headers: own })
    return this
  }
}
