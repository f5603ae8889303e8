import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

/* A server by hand, which can do what no SDK does. */

export interface RawRequest {
  readonly method: string
  readonly params: Readonly<Record<string, unknown>> & { readonly name?: string; readonly taskId?: string }
  readonly id: number
  readonly headers: IncomingHttpHeaders
}

export type Era = '2026-07-28' | '2025-11-25'

/** The result of a request; undefined if it was written to `response`. Throws `{ code, message }` for a JSON-RPC error. */
export type Answer = (request: RawRequest, response: ServerResponse) => unknown

export interface RawServer {
  readonly url: string
  readonly port: number
  /** The requests so far, except the handshake. */
  readonly requests: readonly RawRequest[]
  close(): Promise<void>
}

export const rpcError = (code: number, message: string) => Object.assign(new Error(message), { code })

/** A tool as a server lists it. */
export const listed = (name: string, more: object = {}) => ({
  name,
  description: `The tool ${name}.`,
  inputSchema: { type: 'object' },
  ...more,
})

export const textResult = (said: string) => ({ content: [{ type: 'text', text: said }] })

export interface RawServerOptions {
  readonly era: Era
  readonly tools: unknown
  readonly capabilities?: object
  readonly port?: number
  /** Answers `tools/list` instead of `tools`; the first page has the cursor `0`. */
  page?(cursor: string): object
  answer: Answer
}

/** Serves until it is closed. */
export async function serveRaw({
  era,
  tools,
  capabilities = {},
  port = 0,
  page,
  answer,
}: RawServerOptions): Promise<RawServer> {
  const requests: RawRequest[] = []
  const isModern = era === '2026-07-28'
  const about = { capabilities: { tools: {}, ...capabilities }, serverInfo: { name: 'raw', version: '1' } }
  const complete = (result: object) => (isModern ? { resultType: 'complete', ...result } : result)
  const resultOf = async (request: RawRequest, response: ServerResponse): Promise<unknown> => {
    const { method } = request
    if (method === 'server/discover' && isModern)
      return { ...complete(about), supportedVersions: [era], cacheScope: 'private', ttlMs: 0 }
    if (method === 'initialize' && !isModern) return { ...about, protocolVersion: era }
    if (method === 'initialize' || method === 'server/discover') throw rpcError(-32601, 'Method not found')
    requests.push(request)
    if (method === 'tools/list' && page) return page(String((request.params.cursor as string | undefined) ?? 0))
    if (method === 'tools/list') return { ...complete({ tools }), ...(isModern && { cacheScope: 'private', ttlMs: 0 }) }
    const result = await answer(request, response)
    return result === undefined ? undefined : 'resultType' in (result as object) ? result : complete(result as object)
  }
  const server = createServer((incoming, response) => {
    void (async () => {
      if (incoming.method !== 'POST') return response.writeHead(405).end()
      const message = JSON.parse(await text(incoming)) as RawRequest
      if (message.id === undefined) return response.writeHead(202).end()
      const send = (body: object) => {
        if (!response.headersSent) response.writeHead(200, { 'content-type': 'application/json' })
        response.end(JSON.stringify({ jsonrpc: '2.0', id: message.id, ...body }))
      }
      try {
        const result = await resultOf({ ...message, params: message.params ?? {}, headers: incoming.headers }, response)
        if (result !== undefined) send({ result })
      } catch (error) {
        const { code = -32603, message: why } = error as { code?: number; message: string }
        send({ error: { code, message: why } })
      }
      return undefined
    })()
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const close = async () => {
    server.closeAllConnections()
    if (server.listening) await new Promise(done => server.close(done))
  }
  const bound = (server.address() as AddressInfo).port
  return { url: `http://127.0.0.1:${bound}/mcp`, port: bound, requests, close }
}
