import type { IncomingMessage, ServerResponse } from 'node:http'
import { PassThrough, Readable } from 'node:stream'
import type { Hono } from 'hono'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import { Client } from '../ask/client.ts'
import type { Bus } from '../bus/bus.ts'
import { McpHttp } from '../mcp/server/http.ts'
import { LiveIndex } from '../trace/index/live.ts'
import type { GatewayEnv, ViewOptions } from './context.ts'
import { openIdentity } from './identity/guard.ts'
import type { Identity } from './identity/identity.ts'
import type { Principal } from './identity/principal.ts'
import { routes } from './routes.ts'
import { Streams } from './streams/streams.ts'

/**
 * The gateway as a function of a web `Request`, to be mounted in a server of the app. That server decides who may call it, or a policy does,
 * as in the gateway. Pages of other origins are refused.
 */
export class WebHandler {
  readonly #streams: Streams
  readonly #client: Client
  readonly #mcp: McpHttp
  readonly #identity: Identity | undefined
  readonly #app: Hono<GatewayEnv>

  /** `policy`: path of the policy file. @throws E_SETTING_INVALID */
  static async open(bus: Bus, policy: string | undefined, views: ViewOptions = {}): Promise<WebHandler> {
    return new WebHandler(bus, await openIdentity(bus, policy), views)
  }

  private constructor(bus: Bus, identity: Identity | undefined, views: ViewOptions) {
    this.#streams = new Streams({ bus })
    this.#client = new Client(bus)
    this.#mcp = new McpHttp(bus, this.#client)
    this.#identity = identity
    const originPolicy = { origins: () => identity?.origins ?? [] }
    const maxBodyBytes = 4 * 1024 * 1024
    const shared = { bus, client: this.#client, mcp: this.#mcp, streams: this.#streams, originPolicy, maxBodyBytes }
    const { index = new LiveIndex(bus), failedFor = '1d' } = views
    this.#app = routes({ ...shared, identity, localKey: undefined, index, failedFor })
  }

  /**
   * `principal`: who sends the request. Default: with a policy, as its credential says; without one, everyone may do everything in the
   * tenant `default`.
   */
  async fetch(request: Request, principal?: Principal): Promise<Response> {
    const outgoing = new StreamResponse(request.signal)
    const headers = new Headers(request.headers)
    const { host } = new URL(request.url)
    if (!headers.has('host')) headers.set('host', host)
    const env = { incoming: incomingOf(request), outgoing: outgoing as unknown as ServerResponse, principal }
    const response = await this.#app.fetch(new Request(request.url, { method: request.method, headers }), env)
    return response === RESPONSE_ALREADY_SENT ? outgoing.response! : response
  }

  close() {
    void this.#mcp.close().catch(() => {})
    this.#streams.close()
    this.#client.close()
    this.#identity?.close()
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
  readonly #headers: Record<string, string> = {}

  constructor(signal: AbortSignal) {
    super({ signal })
    this.on('error', () => {})
  }

  setHeader(name: string, value: string): void {
    this.#headers[name] = value
  }

  writeHead(status: number, headers: Record<string, string>): this {
    // The server that the handler is mounted in owns the connection.
    const { connection: _, ...own } = headers
    this.response = new Response(Readable.toWeb(this), { status, headers: { ...this.#headers, ...own } })
    return this
  }
}
