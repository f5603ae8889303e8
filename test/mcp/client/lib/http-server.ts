import { serve } from '@hono/node-server'
import { createMcpHandler } from '@modelcontextprotocol/server'
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { toolsServer } from './tools-server.ts'

/** `node http-server.ts FOLDER PORT`: the tools server over HTTP, in the protocol of 2026-07-28. Prints its port. */
const [, , folder, port] = process.argv
const handler = createMcpHandler(() => toolsServer({ folder: folder! }))
const fetch = (request: Request) => {
  appendFileSync(join(folder!, 'protocols'), `${request.headers.get('mcp-protocol-version')}\n`)
  return handler.fetch(request)
}
serve({ fetch, port: Number(port), hostname: '127.0.0.1' }, ({ port }) => console.log(port))
