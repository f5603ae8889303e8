import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { InMemoryEventStore } from '@modelcontextprotocol/sdk/examples/shared/inMemoryEventStore.js'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { SSEServerTransport } from '@modelcontextprotocol/sdk/server/sse.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import { z } from 'zod'
import { listening } from './listening.ts'
import { serving } from '../../lib/serving.ts'

const says = (text: string) => ({ content: [{ type: 'text' as const, text }] })

function sums(): McpServer {
  const server = new McpServer({ name: 'old sums', version: '0.9' })
  server.registerTool('add', { inputSchema: { a: z.number(), b: z.number() } }, ({ a, b }) => says(String(a + b)))
  server.registerTool(
    'wait',
    { inputSchema: { ms: z.number(), cut: z.boolean().optional() } },
    async ({ ms, cut }, { signal, closeSSEStream }) => {
      // The client asks for the rest of the stream.
      if (cut) closeSSEStream?.()
      await pause(ms, undefined, { signal })
      return says('done')
    },
  )
  return server
}

/** A server of the era before, with sessions, and with the transport before that at `/sse`. */
export async function oldSumsServer() {
  const sessions = new Map<string, StreamableHTTPServerTransport>()
  /** The ids after which clients asked for the rest of a stream. */
  const resumed: string[] = []
  const streams = new Map<string, SSEServerTransport>()
  const server = createServer(
    serving(async (incoming, outgoing) => {
      const { pathname, searchParams } = new URL(incoming.url!, 'http://localhost')
      if (pathname === '/sse') {
        const transport = new SSEServerTransport('/messages', outgoing)
        streams.set(transport.sessionId, transport)
        return sums().connect(transport)
      }
      if (pathname === '/messages')
        return streams.get(searchParams.get('sessionId')!)!.handlePostMessage(incoming, outgoing)
      if (incoming.headers['last-event-id']) resumed.push(String(incoming.headers['last-event-id']))
      const session = incoming.headers['mcp-session-id'] as string | undefined
      if (session !== undefined && !sessions.has(session)) return outgoing.writeHead(404).end()
      const transport = session === undefined ? newSession() : sessions.get(session)!
      if (session === undefined) await sums().connect(transport)
      await transport.handleRequest(incoming, outgoing)
      return undefined
    }),
  )
  function newSession() {
    const transport: StreamableHTTPServerTransport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      eventStore: new InMemoryEventStore(),
      retryInterval: 10,
      onsessioninitialized: id => void sessions.set(id, transport),
    })
    return transport
  }
  const url = await listening(server)
  return { url, resumed }
}
