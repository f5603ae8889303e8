import type { Bus } from '../bus/bus.ts'
import { checkedPrincipal, type Principal } from '../gateway/identity/principal.ts'
import type { ViewOptions } from '../gateway/context.ts'
import type { WebHandler } from '../gateway/web-handler.ts'

/** A web-standard handler. */
export type Fetch = (request: Request) => Promise<Response>

/** The gateway as web-standard handlers. */
export interface WebHandlers {
  /**
   * What the gateway does over HTTP, as a function of a web `Request`: mount it in a server of your own, which decides who may call it.
   * With a policy (`TIDINGS_POLICY`) it checks credentials as the gateway does.
   * @example
   * import { Hono } from 'hono'
   * const server = new Hono().all('/tidings/*', c => underPrefix('/tidings', running.fetch)(c.req.raw))
   */
  readonly fetch: Fetch
  /**
   * The same for a request whose sender your server knows: it stays in the tenant of the principal, and may do what the principal may.
   * @example
   * const ann = { tenant: 'acme', user: 'ann', may: () => true }
   * const response = await running.fetchAs(ann, request)
   */
  readonly fetchAs: (principal: Principal, request: Request) => Promise<Response>
}

/** A handler that loads the gateway with the first request. */
export function lazyWebHandler(bus: Bus, policy: string | undefined, views: ViewOptions) {
  let handler: Promise<WebHandler> | undefined
  const load = async () => (await import('../gateway/web-handler.ts')).WebHandler.open(bus, policy, views)
  const open = () => (handler ??= load())
  return {
    fetch: async (request: Request) => (await open()).fetch(request),
    fetchAs: async (principal: Principal, request: Request) =>
      (await open()).fetch(request, checkedPrincipal(principal)),
    stop: async () => (await handler)?.close(),
  }
}

/**
 * The handler below a path of your server: it gets the path without the prefix, and links in its answers lead back below it. The framework
 * must pass the whole path.
 * @example
 * export const GET = underPrefix('/api/tidings', running.fetch)
 */
export function underPrefix(prefix: string, handler: Fetch): Fetch {
  return request => {
    const url = new URL(request.url)
    if (!url.pathname.startsWith(`${prefix}/`)) return handler(request)
    url.pathname = url.pathname.slice(prefix.length)
    const stripped = new Request(url, request)
    const outer = request.headers.get('x-forwarded-prefix')?.split(',')[0]!.trim().replace(/\/$/, '') ?? ''
    stripped.headers.set('x-forwarded-prefix', outer + prefix)
    return handler(stripped)
  }
}
