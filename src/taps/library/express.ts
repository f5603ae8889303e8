import type { IncomingMessage, OutgoingHttpHeader, ServerResponse } from 'node:http'
import type { HttpTap } from '../http/http-tap.ts'
import type { RecordedExchange } from '../http/recorded-exchange.ts'

/** Middleware of Express, and of other servers that call functions with these parameters. */
export type ExpressMiddleware = (
  request: IncomingMessage & { originalUrl?: string },
  response: ServerResponse,
  next: (error?: unknown) => void,
) => void

export function expressMiddleware(tap: HttpTap): ExpressMiddleware {
  return (request, response, next) => {
    const { method, originalUrl, url, headers, rawHeaders } = request
    const exchange = tap.begin({ method, url: originalUrl ?? url, headers, rawHeaders })
    if (!exchange) return next()
    watchResponse(response, exchange)
    response.once('close', () => tap.end(exchange, { kind: response.writableFinished ? 'complete' : 'aborted' }))
    if (hasBody(request)) {
      watchBody(request, exchange)
      return next()
    }
    exchange.requestEnd()
    const proceed = () => next()
    void exchange.durable().then(proceed)
  }
}

const hasBody = ({ headers }: IncomingMessage) =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0

/** Sees the chunks when they arrive. The end of the body reaches the app when the request is on the log, or has waited long enough. */
function watchBody(request: IncomingMessage, exchange: RecordedExchange): void {
  const push = request.push.bind(request)
  request.push = (chunk: Buffer | null, encoding) => {
    if (chunk !== null) {
      exchange.requestChunk(Buffer.from(chunk))
      return push(chunk, encoding)
    }
    exchange.requestEnd()
    void exchange.durable().then(() => request.destroyed || push(null))
    return false
  }
}

type Call = (...parameters: unknown[]) => unknown

function watchResponse(response: ServerResponse, exchange: RecordedExchange): void {
  const { write, end, writeHead } = response as unknown as Record<'write' | 'end' | 'writeHead', Call>
  const seen = (chunk: unknown, encoding: unknown) => {
    if (typeof chunk === 'string') exchange.responseChunk(Buffer.from(chunk, encodingOf(encoding)))
    else if (chunk instanceof Uint8Array) exchange.responseChunk(Buffer.from(chunk))
  }
  const watched: Record<'write' | 'end' | 'writeHead', Call> = {
    writeHead(...given) {
      const written = writeHead.apply(response, given)
      exchange.response(response.statusCode, sentHeaders(response, given.at(-1)))
      return written
    },
    write(chunk, encoding, ...more) {
      const written = write.call(response, chunk, encoding, ...more)
      seen(chunk, encoding)
      return written
    },
    end(chunk, encoding, ...more) {
      if (!response.writableEnded) seen(chunk, encoding)
      return end.call(response, chunk, encoding, ...more)
    },
  }
  Object.assign(response, watched)
}

const encodingOf = (given: unknown): BufferEncoding =>
  typeof given === 'string' && Buffer.isEncoding(given) ? given : 'utf8'

/** The headers of a response whose head was written. Those that were given with it count, and may not be among the others. */
function sentHeaders(response: ServerResponse, given: unknown): string[] {
  const written = pairsOf(given)
  const names = new Set(written.filter((_, i) => i % 2 === 0).map(name => name.toLowerCase()))
  const others = Object.entries(response.getHeaders()).filter(([name]) => !names.has(name))
  return [...pairsOf(Object.fromEntries(others)), ...written]
}

/** Names and values in turn, from the forms in which Node takes headers. */
function pairsOf(headers: unknown): string[] {
  if (Array.isArray(headers)) return headers.flat().map(String)
  if (typeof headers !== 'object' || headers === null) return []
  return Object.entries(headers as Record<string, OutgoingHttpHeader | undefined>).flatMap(([name, value]) =>
    value === undefined ? [] : [value].flat().flatMap(each => [name, String(each)]),
  )
}
