import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'

export interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** Aborts when the caller disconnects. */
  readonly signal: AbortSignal
}

/** Gives the body of the answer, or answers by itself. */
export type Handler = (body: unknown, exchange: Exchange) => Promise<unknown>

/** A refusal or failure, as an HTTP status. */
export class StatusError extends Error {
  readonly status: number
  readonly retryAfterMs: number | undefined

  constructor(status: number, message: string, retryAfterMs?: number) {
    super(message)
    this.status = status
    this.retryAfterMs = retryAfterMs
  }
}

/** Serves JSON on a port of 127.0.0.1: a handler for each path. */
export async function listen(port: number, handlers: Record<string, Handler>): Promise<void> {
  const server = createServer((request, response) => void serve(request, response))
  // Longer than that of clients, so that no request meets a connection that closes.
  server.keepAliveTimeout = 30_000
  server.maxRequestsPerSocket = 0
  await once(server.listen({ port, host: '127.0.0.1', backlog: 2_000 }), 'listening')

  async function serve(request: IncomingMessage, response: ServerResponse) {
    const gone = new AbortController()
    response.once('close', () => gone.abort(new StatusError(499, 'the caller has gone')))
    const handler = handlers[request.url!]
    try {
      if (!handler) throw new StatusError(404, `nothing at ${request.url}`)
      const received = await text(request)
      const answer = await handler(received === '' ? undefined : JSON.parse(received), {
        request,
        response,
        signal: gone.signal,
      })
      if (response.writableEnded || response.destroyed) return
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
    } catch (error) {
      if (response.headersSent || response.destroyed) return
      const { status, retryAfterMs } = error instanceof StatusError ? error : new StatusError(500, String(error))
      const headers = retryAfterMs === undefined ? {} : { 'retry-after-ms': String(retryAfterMs) }
      response.writeHead(status, headers).end(error instanceof Error ? error.message : String(error))
    }
  }
}
