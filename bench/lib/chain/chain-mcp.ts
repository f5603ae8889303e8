import { once } from 'node:events'
import { createServer } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server'
import { z } from 'zod'
import { mcpTools, runTool } from './task.ts'
import { needed, serves } from './child.ts'

/* The tools of the chain that are behind MCP, as a process: Streamable HTTP, stateless. */

const handler = createMcpHandler(() => {
  const server = new McpServer({ name: 'tools', version: '1' })
  for (const name of mcpTools)
    server.registerTool(
      name,
      { description: 'Looks up.', inputSchema: z.object({ query: z.string() }) },
      async input => ({
        content: [{ type: 'text', text: JSON.stringify(await runTool(name, input)) }],
      }),
    )
  return server
})
const listener = getRequestListener(request => handler.fetch(request))
const server = createServer((request, response) => void listener(request, response))
server.keepAliveTimeout = 30_000
await needed()
await once(server.listen({ port: Number(process.argv[2]), host: '127.0.0.1', backlog: 2_000 }), 'listening')
serves()
