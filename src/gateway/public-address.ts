import type { HonoRequest } from 'hono'

/*
 * Where clients reach the gateway, if a proxy or a framework with a path prefix is in front of it. These headers decide about links in the
 * answer to the one who sent them, and a page of another origin cannot send them.
 */

/** The host that the client asked, as the proxy in front says; undefined without one. */
export const forwardedHost = (req: HonoRequest): string | undefined => firstOf(req.header('x-forwarded-host'))

/** The whole address of a path of the gateway, for a client. */
export function publicUrl(req: HonoRequest, path: string): string {
  const { protocol, host } = new URL(req.url)
  const forwarded = `${firstOf(req.header('x-forwarded-proto')) ?? protocol.slice(0, -1)}://${forwardedHost(req) ?? host}`
  const base = /^https?:\/\/[^/?#@\\]+$/.test(forwarded) && URL.canParse(forwarded) ? forwarded : req.url
  const prefix = firstOf(req.header('x-forwarded-prefix'))?.replace(/\/$/, '') ?? ''
  return new URL(/^(?:\/[\w.~%-]+)*$/.test(prefix) ? prefix + path : path, base).href
}

export const blobUrl = (req: HonoRequest) => (blob: string, mediaType: string) =>
  publicUrl(req, `/blobs/${blob}?type=${encodeURIComponent(mediaType)}`)

/** The attachment that an address names, if it is one of this gateway, with or without the host; undefined for all others. */
export const blobIn =
  (req: HonoRequest) =>
  (url: string): string | undefined => {
    const own = new URL(publicUrl(req, '/blobs/'))
    if (!URL.canParse(url, own.href)) return undefined
    const { host, pathname } = new URL(url, own)
    if (host !== own.host || !pathname.startsWith(own.pathname)) return undefined
    return /^sha256-[0-9a-f]{64}$/.exec(pathname.slice(own.pathname.length))?.[0]
  }

/** Of a chain of proxies, what the first one says: the nearest to the client. */
const firstOf = (value: string | undefined) => value?.split(',')[0]!.trim() || undefined
