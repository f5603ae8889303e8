import { createServer, type IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import { Client } from '../ask/client.ts'
import { type HttpListener, listen } from '../http/listen.ts'
import { errorResponse, httpError, securityHeaders } from '../http/response.ts'
import { McpHttp } from '../mcp/server/http.ts'
import { LiveIndex } from '../trace/index/live.ts'
import type { ViewOptions } from './context.ts'
import { assertGuarded, openIdentity } from './identity/guard.ts'
import { LocalKey } from './identity/local-key.ts'
import { routes } from './routes.ts'
import { defaultMaxStreams, Streams, type StreamsOptions } from './streams/streams.ts'

export interface GatewayOptions extends StreamsOptions, ViewOptions {
  /** 0 uses any free port. */
  port: number
  /** Address to listen on. Default 127.0.0.1; any other address demands a policy. */
  host?: string
  /** Path of the policy file. Default: every process of this machine may use the gateway, and no one can answer approvals over HTTP. */
  policy?: string
  /** Folder of the worker, which keeps the key of the console over restarts. */
  home?: string | undefined
  /** Largest request body, in bytes. Default 4 MiB. */
  maxBodyBytes?: number
}

export const portSetting = { service: 'the gateway', setting: 'TIDINGS_PORT' }

/** Connections besides those of streams. Further ones are closed without a response. */
const maxRequests = 1_024
// How long a request may take to arrive, in ms.
const timeouts = { headersTimeout: 10_000, requestTimeout: 60_000, connectionsCheckingInterval: 1_000 }

/**
 * HTTP to and from the log: `POST /events`, `GET /events/stream`, `GET /events/socket`, `/approvals`, `GET /health`. `docs/wire-format.md` is
 * normative. Resolves when it listens. @throws E_IDENTITY_MISSING, E_PORT_IN_USE, E_SETTING_INVALID
 */
export async function startGateway(options: GatewayOptions): Promise<HttpListener & { readonly console: string }> {
  const { bus, port, host = '127.0.0.1', policy, home, maxBodyBytes = 4 * 1024 * 1024 } = options
  assertGuarded(host, policy)
  const identity = await openIdentity(bus, policy)
  const localKey = identity ? undefined : new LocalKey(home)
  const { maxStreams = defaultMaxStreams, index = new LiveIndex(bus), failedFor = '1d' } = options
  const streams = new Streams(options)
  const client = new Client(bus)
  const mcp = new McpHttp(bus, client)
  const close = () => {
    void mcp.close().catch(() => {})
    streams.close()
    client.close()
    identity?.close()
  }
  const originPolicy = { ...(!identity && { hosts: new Set([host]) }), origins: () => identity?.origins ?? [] }
  const handle = getRequestListener(
    routes({ bus, client, mcp, streams, originPolicy, identity, localKey, maxBodyBytes, index, failedFor }).fetch,
    {
      overrideGlobalObjects: false,
      hostname: host,
      errorHandler: () => unreadable(),
    },
  )
  // assertAllowed() rejects a request without a Host header, with a text.
  const server = createServer(
    { ...timeouts, requireHostHeader: false, shouldUpgradeCallback: wantsSocket },
    (incoming, outgoing) => void handle(incoming, outgoing),
  )
  // The same routes answer: with a WebSocket, or as if the request had not asked for one.
  server.on('upgrade', (incoming, connection: Socket, head) => {
    const outgoing = new ServerResponse(incoming)
    outgoing.shouldKeepAlive = false
    outgoing.assignSocket(connection)
    outgoing.on('finish', () => connection.destroySoon())
    connection.on('error', () => connection.destroy())
    streams.upgrades.offer(incoming, { connection, head, outgoing })
    void handle(incoming, outgoing)
  })
  server.maxConnections = maxStreams + maxRequests
  try {
    const { stop, ...listener } = await listen(server, { ...portSetting, port, host })
    return {
      ...listener,
      console: `${listener.url}/console/${localKey ? `#key=${localKey.text}` : ''}`,
      async stop(abort) {
        const stopped = stop(abort)
        close()
        await stopped
      },
    }
  } catch (error) {
    close()
    throw error
  }
}

const wantsSocket = ({ headers }: IncomingMessage) => headers.upgrade?.toLowerCase() === 'websocket'

function unreadable(): Response {
  const { status, body } = errorResponse(httpError(400, 'the URL or the Host header of the request cannot be parsed'))
  return Response.json(body, { status, headers: securityHeaders })
}
