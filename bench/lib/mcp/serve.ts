import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { getRequestListener } from '@hono/node-server'

/* What the servers of both SDKs share. */

export type Mode = 'stdio' | 'stateful' | 'stateless'

export interface HttpTransport {
  handleRequest(request: Request): Promise<Response>
}

interface SessionOptions {
  readonly sessionIdGenerator: () => string
  readonly onsessioninitialized: (id: string) => void
  readonly onsessionclosed: (id: string) => void
}

/** Keeps a transport of either SDK for each session, as their examples do. */
export function withSessions<T extends HttpTransport>(
  Transport: new (options: SessionOptions) => T,
  connect: (transport: T) => Promise<void>,
) {
  const sessions = new Map<string, T>()
  const open = async () => {
    const transport = new Transport({
      sessionIdGenerator: () => randomUUID(),
      onsessioninitialized: id => void sessions.set(id, transport),
      onsessionclosed: id => void sessions.delete(id),
    })
    await connect(transport)
    return transport
  }
  return async (request: Request): Promise<Response> => {
    const id = request.headers.get('mcp-session-id')
    const transport = id === null ? await open() : sessions.get(id)
    return transport ? transport.handleRequest(request) : new Response(null, { status: 404 })
  }
}

/** Serves on a free port, which the parent process is told, until that ends. */
export async function serveHttp(fetch: (request: Request) => Promise<Response>): Promise<void> {
  const listener = getRequestListener(fetch)
  const server = createServer((request, response) => void listener(request, response))
  // Longer than that of clients, so that no request meets a connection that closes.
  server.keepAliveTimeout = 60_000
  await once(server.listen({ port: 0, host: '127.0.0.1', backlog: 2_000 }), 'listening')
  process.once('disconnect', () => process.exit())
  process.send!((server.address() as AddressInfo).port)
}
