import { isLoopback } from '../../http/listen.ts'
import { httpError } from '../../http/response.ts'

export interface OriginPolicy {
  /** Accepted values of the Host header besides loopback; undefined if every request shows a credential, or a server in front decides. */
  readonly hosts?: ReadonlySet<string>
  /** Web origins that may use the gateway besides its own. */
  origins(): readonly string[]
}

/**
 * A web page that the user has open must not reach the gateway: neither under its own name, resolved to this machine (DNS
 * rebinding), nor with a form or fetch from another origin. Non-browser clients send no Origin header and are unaffected.
 * `forwarded`: the host that the client asked a proxy for. A page of another origin cannot send that header. @throws 403 E_REQUEST_INVALID
 */
export function assertAllowed(
  { hosts, origins }: OriginPolicy,
  host: string | undefined,
  origin: string | undefined,
  forwarded?: string,
): void {
  const name = (host ?? '').replace(/:\d*$/, '').toLowerCase()
  if (hosts && !isLoopback(name.replace(/^\[(.*)\]$/, '$1')) && !hosts.has(name)) {
    const rejected = `the gateway does not accept the host ${JSON.stringify(name.slice(0, 80))}`
    throw httpError(403, `${rejected}; use localhost, or set TIDINGS_POLICY, with which every host is accepted`)
  }
  const page = origin === undefined ? undefined : hostOf(origin)
  const isOwn = page !== undefined && (page === host || (!hosts && page === forwarded))
  if (origin !== undefined && !isOwn && !origins().includes(origin)) {
    const rejected = `the origin ${JSON.stringify(origin.slice(0, 80))} may not use this gateway`
    throw httpError(403, `${rejected}; add it to "origins" in the policy (TIDINGS_POLICY)`)
  }
}

/** The CORS headers for a page of another origin that may use the gateway, and for its preflight request. */
export function corsHeaders({ origins }: OriginPolicy, origin: string | undefined, isPreflight: boolean) {
  if (origin === undefined || !origins().includes(origin)) return {}
  return {
    vary: 'Origin',
    'access-control-allow-origin': origin,
    'access-control-allow-credentials': 'true',
    'access-control-expose-headers':
      'Location, Retry-After, Preference-Applied, Idempotency-Replayed, Mcp-Session-Id, WWW-Authenticate',
    ...(isPreflight && {
      'access-control-allow-methods': 'GET, POST, PUT, PATCH, DELETE',
      'access-control-allow-headers':
        'Authorization, Content-Type, Idempotency-Key, Last-Event-ID, Mcp-Method, Mcp-Name, Mcp-Protocol-Version, Mcp-Session-Id, Prefer, Traceparent',
      'access-control-max-age': '600',
    }),
  }
}

const hostOf = (origin: string) => (URL.canParse(origin) ? new URL(origin).host : undefined)
