import { z } from 'zod'
import type { RouteDescription } from './route-descriptions.ts'
import { errorShape } from './shapes.ts'

const jsonRpc = z.looseObject({
  jsonrpc: z.literal('2.0'),
  id: z.union([z.string(), z.number(), z.null()]).optional(),
  error: z.looseObject({ code: z.number().int(), message: z.string() }).optional(),
})
/** Of the protocol, or of the gateway. */
const refusal = z.union([jsonRpc, errorShape])
const resource = z.looseObject({ resource: z.string(), authorization_servers: z.array(z.string()) })

const metadata = (path: string, id: string): RouteDescription => ({
  route: `GET ${path}`,
  id,
  tag: 'mcp',
  summary: 'Where an MCP client gets a token',
  description: 'RFC 9728: the issuer of the policy. 404 where the policy accepts no tokens.',
  isOpen: true,
  answers: { 200: { description: 'Protected resource metadata.', body: resource } },
})

/** The Model Context Protocol, whose own documents say what is in its messages. */
export const mcpDescriptions: readonly RouteDescription[] = [
  {
    route: 'POST /mcp',
    id: 'mcp',
    tag: 'mcp',
    summary: 'Send a message of MCP',
    description: 'Streamable HTTP of MCP 2026-07-28 and of the era before: see docs/guides/publish-over-mcp.md.',
    headers: {
      'Idempotency-Key': {
        description: 'A second call of the same tool with this key, within 24 hours, is the same call.',
        schema: z.string().min(1).max(256),
      },
      Prefer: {
        description: '`wait=N`: how many seconds a call waits for its result. Default 50.',
        schema: z.string(),
      },
    },
    body: jsonRpc,
    answers: {
      200: {
        description: 'The answer. With progress: events, and the answer is the last one.',
        body: jsonRpc,
        isStreamable: true,
      },
      202: { description: 'A notification, or the answer to a form, was taken.' },
      400: { description: 'It is not a message of a version that this gateway speaks.', body: refusal },
      404: { description: 'The method does not exist.', body: refusal },
      406: { description: 'The client must accept JSON and event streams.', body: jsonRpc },
      415: { description: 'The body must be JSON.', body: jsonRpc },
    },
  },
  metadata('/.well-known/oauth-protected-resource', 'getProtectedResource'),
  metadata('/.well-known/oauth-protected-resource/mcp', 'getProtectedResourceOfMcp'),
]
