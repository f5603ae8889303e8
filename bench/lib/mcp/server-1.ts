import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js'
import { WebStandardStreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js'
import { z } from 'zod'
import { serveHttp, withSessions, type Mode } from './serve.ts'

/* A server of one no-op tool with SDK 1, as a process. */

function newServer() {
  const server = new McpServer({ name: 'noop', version: '1' })
  server.registerTool('noop', { description: 'Does nothing.', inputSchema: { q: z.string() } }, ({ q }) => ({
    content: [{ type: 'text', text: q }],
  }))
  return server
}

const mode = process.argv[2] as Mode
if (mode === 'stdio') await newServer().connect(new StdioServerTransport())
else if (mode === 'stateful')
  await serveHttp(withSessions(WebStandardStreamableHTTPServerTransport, transport => newServer().connect(transport)))
else
  await serveHttp(async request => {
    const transport = new WebStandardStreamableHTTPServerTransport()
    await newServer().connect(transport)
    return transport.handleRequest(request)
  })
