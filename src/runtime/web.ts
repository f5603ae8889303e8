import type { Bus } from '../bus/bus.ts'
import type { WebHandler } from '../gateway/web-handler.ts'

/** A web-standard handler. */
export type Fetch = (request: Request) => Promise<Response>

/** A handler that loads the gateway with the first request. */
export function lazyWebHandler(bus: Bus, approvers: string | undefined) {
  let handler: Promise<WebHandler> | undefined
  const load = async () => new (await import('../gateway/web-handler.ts')).WebHandler(bus, approvers)
  return {
    fetch: async (request: Request) => (await (handler ??= load())).fetch(request),
    stop: async () => (await handler)?.close(),
  }
}

/**
 * A handler for a framework that passes the whole path, such as Next: it removes the prefix under which the handler is mounted.
 * @example
 * export const GET = underPrefix('/api/tidings', running.fetch)
 */
export function underPrefix(prefix: string, handler: Fetch): Fetch {
  return request => {
    const url = new URL(request.url)
    if (url.pathname.startsWith(`${prefix}/`)) url.pathname = url.pathname.slice(prefix.length)
    return handler(new Request(url, request))
  }
}
