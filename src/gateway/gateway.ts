import { createServer } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import { Client } from '../ask/client.ts'
import { type HttpListener, listen } from '../http/listen.ts'
import { errorResponse, httpError } from '../http/response.ts'
import { Approvers } from './identity/approvers.ts'
import { routes } from './routes.ts'
import { defaultMaxStreams, Streams, type StreamsOptions } from './streams/streams.ts'

export interface GatewayOptions extends StreamsOptions {
  /** 0 uses any free port. */
  port: number
  /** Address to listen on. Default 127.0.0.1; any other address opens the log to the network, without credentials. */
  host?: string
  /** Other host names under which clients reach the gateway, without the port. */
  hosts?: readonly string[]
  /** Origins of web pages that may use the gateway besides its own, such as `http://localhost:5173`. */
  origins?: readonly string[]
  /** Path of the JSON file of approvers: names, and SHA-256 of their tokens. Default: no one can answer over HTTP. */
  approvers?: string
  /** Largest request body, in bytes. Default 4 MiB. */
  maxBodyBytes?: number
}

export const portSetting = { service: 'the gateway', setting: 'TIDINGS_PORT' }

/** Connections besides those of streams. Further ones are closed without a response. */
const maxRequests = 1_024
// How long a request may take to arrive, in ms.
const timeouts = { headersTimeout: 10_000, requestTimeout: 60_000, connectionsCheckingInterval: 1_000 }

/**
 * HTTP to and from the log: `POST /events`, `GET /events/stream`, `/approvals`, `GET /health`. `docs/wire-format.md` is
 * normative. Resolves when it listens. @throws E_PORT_IN_USE, E_SETTING_INVALID
 */
export async function startGateway(options: GatewayOptions): Promise<HttpListener> {
  const approvers = new Approvers(options.approvers)
  const { bus, port, host = '127.0.0.1', hosts = [], origins = [], maxBodyBytes = 4 * 1024 * 1024 } = options
  const { maxStreams = defaultMaxStreams } = options
  const streams = new Streams(options)
  const client = new Client(bus)
  const close = () => {
    streams.close()
    client.close()
  }
  const originPolicy = { hosts: new Set([host, ...hosts]), origins: new Set(origins) }
  const handle = getRequestListener(routes({ bus, client, streams, originPolicy, approvers, maxBodyBytes }).fetch, {
    overrideGlobalObjects: false,
    hostname: host,
    errorHandler: () => unreadable(),
  })
  // assertAllowed() rejects a request without a Host header, with a text.
  const server = createServer(
    { ...timeouts, requireHostHeader: false },
    (incoming, outgoing) => void handle(incoming, outgoing),
  )
  server.maxConnections = maxStreams + maxRequests
  try {
    const { stop, ...listener } = await listen(server, { ...portSetting, port, host })
    return {
      ...listener,
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

function unreadable(): Response {
  const { status, body } = errorResponse(httpError(400, 'the URL or the Host header of the request cannot be parsed'))
  return Response.json(body, { status })
}
