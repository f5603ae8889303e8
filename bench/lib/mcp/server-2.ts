import { createMcpHandler, McpServer, WebStandardStreamableHTTPServerTransport } from '@modelcontextprotocol/server'
import { serveStdio } from '@modelcontextprotocol/server/stdio'
import { z } from 'zod'
import { serveHttp, withSessions, type Mode } from './serve.ts'

/* The same with SDK 2. Only the protocol before 2026-07-28 has sessions. */

function newServer() {
  const server = new McpServer({ name: 'noop', version: '1' })
  server.registerTool('noop', { description: 'Does nothing.', inputSchema: z.object({ q: z.string() }) }, ({ q }) => ({
    content: [{ type: 'text', text: q }],
  }))
  return server
}

const mode = process.argv[2] as Mode
if (mode === 'stdio') serveStdio(newServer)
else if (mode === 'stateful')
  await serveHttp(withSessions(WebStandardStreamableHTTPServerTransport, transport => newServer().connect(transport)))
else await serveHttp(createMcpHandler(newServer).fetch)
