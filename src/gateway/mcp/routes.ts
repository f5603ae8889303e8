import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import { Hono } from 'hono'
import { parseJson } from '../../bus/decode.ts'
import { TidingsError } from '../../errors.ts'
import { readBody } from '../../http/body.ts'
import { requestKeyOf } from '../commands/request.ts'
import { waitOf } from '../commands/prefer.ts'
import type { GatewayContext, GatewayDeps, GatewayEnv } from '../context.ts'
import { assertMay } from '../identity/principal.ts'
import { mcpPath } from './paths.ts'

/** What starts a task. */
const taskMethods: ReadonlySet<unknown> = new Set(['tools/call', 'prompts/get', 'resources/read'])
/** Below the minute after which most clients give up. */
const defaultWaitSeconds = 50

/** MCP over Streamable HTTP: what the apps publish, for the principal of the request. */
export function mcpRoutes({ mcp, maxBodyBytes }: GatewayDeps): Hono<GatewayEnv> {
  const serve = async (c: GatewayContext) => {
    const { req, env, var: { principal } } = c // biome-ignore format: one line
    const body = await bodyOf(c, maxBodyBytes)
    if (body instanceof Response) return body
    if (methodsIn(body).some(method => taskMethods.has(method)))
      for (const action of ['publish', 'read'] as const) assertMay(principal, action, 'agent.invoke')
    const gone = new AbortController()
    env.outgoing.once('close', () => gone.abort())
    const request = new Request(req.url, { method: req.method, headers: req.raw.headers, signal: gone.signal })
    const waitMs = (waitOf(req.header('prefer')) ?? defaultWaitSeconds) * 1_000
    return await send(c, await mcp.fetch(request, { caller: principal, body, waitMs, idempotencyKey: requestKeyOf(c) }))
  }
  return new Hono<GatewayEnv>().post(mcpPath, serve)
}

/** What is not JSON is an error of JSON-RPC. @throws E_REQUEST_TOO_LARGE, E_REQUEST_INVALID */
async function bodyOf(c: GatewayContext, maxBytes: number): Promise<unknown> {
  const bytes = await readBody(c.env.incoming, maxBytes)
  try {
    return parseJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (error) {
    const message = `Parse error: ${error instanceof TidingsError ? error.message : 'the body is not UTF-8'}`
    return c.json({ jsonrpc: '2.0', id: null, error: { code: -32_700, message } }, 400)
  }
}

const methodsIn = (body: unknown): unknown[] =>
  [body].flat().map(message => (message as { method?: unknown } | null | undefined)?.method)

async function send(c: GatewayContext, response: Response): Promise<Response> {
  const headers = Object.fromEntries(response.headers)
  if (!headers['content-type']?.startsWith('text/event-stream') || !response.body)
    return c.body((response.body ? await response.text() : null) as string, response.status as 200, headers)
  const { outgoing } = c.env
  outgoing.writeHead(response.status, headers)
  // Not through Hono, which writes every broken stream to stderr.
  void pipeline(Readable.fromWeb(response.body), outgoing).catch(() => {})
  return RESPONSE_ALREADY_SENT
}
