import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { z } from 'zod'

/** A server of the SDK of 2025, with a session for each client. It forgets them when it is closed. */
export async function sessionServer(
  port = 0,
): Promise<{ url: string; port: number; sessions: () => number; close(): Promise<void> }> {
  const sessions = new Map<string, StreamableHTTPServerTransport>()
  const open = async () => {
    const transport: StreamableHTTPServerTransport = new StreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      onsessioninitialized: id => void sessions.set(id, transport),
    })
    const server = new McpServer({ name: 'sessions', version: '1' })
    const echo = { inputSchema: { text: z.string() }, annotations: { readOnlyHint: true } }
    server.registerTool('echo', echo, ({ text }) => ({ content: [{ type: 'text', text }] }))
    const once = { inputSchema: { text: z.string() } }
    server.registerTool('once', once, ({ text }) => ({ content: [{ type: 'text', text }] }))
    await server.connect(transport)
    return transport
  }
  const server = createServer((request, response) => {
    void (async () => {
      const id = request.headers['mcp-session-id'] as string | undefined
      const known = id === undefined ? await open() : sessions.get(id)
      if (!known) return response.writeHead(404).end('Session not found')
      await known.handleRequest(request, response, request.method === 'POST' ? await json(request) : undefined)
      return undefined
    })()
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const bound = (server.address() as AddressInfo).port
  const close = async () => {
    server.closeAllConnections()
    if (server.listening) await new Promise(done => server.close(done))
  }
  return { url: `http://127.0.0.1:${bound}/mcp`, port: bound, sessions: () => sessions.size, close }
}
