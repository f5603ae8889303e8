import { setTimeout as pause } from 'node:timers/promises'
import type { MiddlewareHandler } from 'hono'
import type { HttpTap } from '../http/http-tap.ts'
import type { RecordedExchange } from '../http/recorded-exchange.ts'
import { maxHoldMs } from '../recorder.ts'
import { observedBody } from './observed-fetch.ts'

export function honoMiddleware(tap: HttpTap): MiddlewareHandler {
  return async (context, next) => {
    const { raw } = context.req
    const { pathname, search } = new URL(raw.url)
    const headers = Object.fromEntries(raw.headers)
    const rawHeaders = [...raw.headers].flat()
    const exchange = tap.begin({ method: raw.method, url: pathname + search, headers, rawHeaders })
    if (!exchange) return next()
    const isRead = readBody(raw, exchange, tap.maxBodyBytes)
    await next()
    // The app may answer before the body has arrived.
    await Promise.race([isRead, pause(maxHoldMs, undefined, { ref: false })])
    const response = context.res
    exchange.response(response.status, [...response.headers].flat())
    await exchange.durable()
    if (!response.body) return tap.end(exchange, { kind: 'complete' })
    const onResponseChunk = (chunk: Buffer) => exchange.responseChunk(chunk)
    const body = observedBody(response.body, { onResponseChunk }, end => tap.end(exchange, end))
    context.res = new Response(body, response)
    return undefined
  }
}

/** Reads a copy of the body beside the app. Beyond what is recorded it is not read: the app may not want it. */
async function readBody(request: Request, exchange: RecordedExchange, maxBytes: number): Promise<void> {
  try {
    let bytes = 0
    for await (const chunk of request.body ? request.clone().body! : []) {
      exchange.requestChunk(Buffer.from(chunk))
      bytes += chunk.length
      if (bytes > maxBytes) return
    }
    exchange.requestEnd()
  } catch {
    // The client went away: the app sees that too.
  }
}
