import type { MiddlewareHandler } from 'hono'
import type { Bus } from '../../bus/bus.ts'
import { TidingsError } from '../../errors.ts'
import { isLoopback } from '../../http/listen.ts'
import { httpError, securityHeaders } from '../../http/response.ts'
import type { GatewayContext, GatewayDeps, GatewayEnv } from '../context.ts'
import type { Identity } from './identity.ts'
import { assertAllowed, corsHeaders } from './origin-policy.ts'
import { forwardedHost } from '../public-address.ts'
import { isMetadataPath } from '../mcp/paths.ts'
import { isStreamPath } from '../stream-paths.ts'
import { anyone, nobody, type Principal } from './principal.ts'

/** Refuses to serve other machines without knowing who they are. @throws E_IDENTITY_MISSING */
export function assertGuarded(host: string, policy: string | undefined): void {
  if (policy !== undefined || isLoopback(host)) return
  throw new TidingsError(
    'E_IDENTITY_MISSING',
    `the gateway cannot listen on "${host}": other machines reach this address, and TIDINGS_POLICY is not set`,
  )
}

/** Undefined without a policy. It is loaded only then. @throws E_SETTING_INVALID with the path of the first fault in the policy */
export async function openIdentity(bus: Bus, policy: string | undefined): Promise<Identity | undefined> {
  if (policy === undefined) return undefined
  return new (await import('./identity.ts')).Identity(bus, policy)
}

/** Answers preflight requests, refuses pages of other origins, and says who sends the request. */
export function guard(deps: GatewayDeps): MiddlewareHandler<GatewayEnv> {
  const { originPolicy } = deps
  return async (c, next) => {
    const [host, origin] = [c.req.header('host'), c.req.header('origin')]
    const isPreflight = c.req.method === 'OPTIONS' && c.req.header('access-control-request-method') !== undefined
    setHeaders(c, { ...securityHeaders, ...corsHeaders(originPolicy, origin, isPreflight) })
    assertAllowed(originPolicy, host, origin, forwardedHost(c.req))
    if (isPreflight) return c.body(null, 204)
    c.set('principal', c.env.principal ?? (await senderOf(c, deps)))
    return next()
  }
}

async function senderOf(c: GatewayContext, { identity, localKey, maxBodyBytes }: GatewayDeps): Promise<Principal> {
  const { req, env } = c
  if (!identity) return localKey?.principalOf(req.header('authorization')) ?? anyone
  const { 'content-length': length, 'transfer-encoding': encoding } = env.incoming.headers
  const sender = await identity.identify({
    authorization: req.header('authorization'),
    cookie: req.header('cookie'),
    ticket: env.incoming.method === 'GET' && isStreamPath(req.path) ? req.query('ticket') : undefined,
    origin: req.header('origin'),
    fetchSite: req.header('sec-fetch-site'),
    address: env.incoming.socket.remoteAddress ?? '',
    bytes: length === undefined ? (encoding === undefined ? 0 : maxBodyBytes) : Number(length),
  })
  if (sender) return sender
  if (req.path === '/health' || isMetadataPath(req.path)) return nobody
  throw httpError(
    401,
    'the request has no credential; send the header Authorization: Bearer, then an API key or a token',
    {
      code: 'E_CREDENTIAL_UNKNOWN',
    },
  )
}

/** Also for streams, which write their response themselves. */
function setHeaders(c: GatewayContext, headers: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(headers)) {
    c.header(name, value)
    c.env.outgoing.setHeader(name, value)
  }
}
