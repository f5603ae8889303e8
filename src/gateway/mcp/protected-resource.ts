import { Hono } from 'hono'
import { httpError } from '../../http/response.ts'
import type { GatewayContext, GatewayDeps, GatewayEnv } from '../context.ts'
import type { Identity } from '../identity/identity.ts'
import { publicUrl } from '../public-address.ts'
import { mcpPath, metadataPath } from './paths.ts'

/*
 * How an MCP client finds out where to get a token: a 401 names a document of the gateway, and that names the authorization server, which
 * is the issuer of the policy. Sources: RFC 9728; MCP 2026-07-28, basic/authorization.
 *
 *     401 WWW-Authenticate: Bearer resource_metadata=… ─▶ /.well-known/oauth-protected-resource/mcp ─▶ the issuer ─▶ a token for this address
 */

export function protectedResourceRoutes({ identity }: GatewayDeps): Hono<GatewayEnv> {
  const document = (c: GatewayContext) => {
    const tokens = identity?.tokenPolicy
    if (!tokens)
      throw httpError(404, 'this gateway accepts no tokens', {
        code: 'E_NOT_FOUND',
        next: 'Send an API key as Authorization: Bearer, or add "jwt" to the policy (TIDINGS_POLICY).',
      })
    const { issuer, audiences, scopes } = tokens
    // The policy knows the address by which the issuer names this gateway; headers of a proxy may not.
    const resource = audiences.find(isMcpAddress) ?? publicUrl(c.req, mcpPath)
    c.header('access-control-allow-origin', '*')
    c.header('cache-control', 'max-age=300')
    return c.json({
      resource,
      authorization_servers: [issuer],
      bearer_methods_supported: ['header'],
      ...(scopes && { scopes_supported: scopes }),
      resource_name: 'Tidings',
    })
  }
  return new Hono<GatewayEnv>().get(metadataPath, document).get(metadataPath + mcpPath, document)
}

const isMcpAddress = (audience: string): boolean =>
  URL.canParse(audience) && new URL(audience).pathname.endsWith(mcpPath)

/** Of a 401, and of a 403 for a token: where a client gets a token, and with which scopes. Undefined for other answers. */
export function challengeOf(c: GatewayContext, identity: Identity | undefined, status: number): string | undefined {
  const isOfMcp = c.req.path === mcpPath && identity?.tokenPolicy !== undefined
  if (status !== 401 && !(status === 403 && isOfMcp)) return undefined
  if (!isOfMcp) return 'Bearer'
  const isInvalid = c.req.header('authorization') !== undefined
  const error = status === 403 ? 'insufficient_scope' : isInvalid ? 'invalid_token' : undefined
  const scopes = identity.tokenPolicy.scopes ? identity.rolesThatMay('publish', 'agent.invoke') : []
  const fields = {
    resource_metadata: publicUrl(c.req, metadataPath + mcpPath),
    ...(error && { error }),
    ...(scopes.length > 0 && { scope: scopes.join(' ') }),
  }
  const named = Object.entries(fields).map(([name, value]) => `${name}="${value}"`)
  return `Bearer ${named.join(', ')}`
}
