import type { AuthProvider, OAuthClientProvider } from '@modelcontextprotocol/client'
import { anObject, aText, must, optionsOf, type Check } from '../../options.ts'

/** The credentials of an OAuth client that acts for itself, by a secret or by a key. */
export type McpClientCredentials = {
  readonly clientId: string
  /** The authorization server. The credentials are sent to no other one, whatever the MCP server says. */
  readonly issuer: string
  readonly scope?: string
} & (
  | { readonly clientSecret: string }
  | {
      /** PKCS #8 as PEM, or a JWK. */
      readonly privateKey: string | Readonly<Record<string, unknown>>
      /** Such as `ES256`. */
      readonly algorithm: string
    }
)

/**
 * How a client proves who it is to a server: by a bearer token, or a function that returns the current one; by the credentials of an OAuth client;
 * or by an `OAuthClientProvider` of the MCP SDK, which stores tokens as the app decides.
 * @example
 * mcp('crm', {
 *   url: 'https://crm.example.com/mcp',
 *   auth: { clientId: 'reports', clientSecret: process.env.CRM_SECRET!, issuer: 'https://login.example.com' },
 * })
 */
export type McpAuth = string | (() => string | Promise<string>) | McpClientCredentials | McpOAuthProvider

/** The `OAuthClientProvider` of `@modelcontextprotocol/client`, as far as it is told from other credentials. */
export interface McpOAuthProvider {
  tokens(...given: never[]): unknown
}

const aCredential = optionsOf(
  {
    clientId: aText,
    issuer: aText,
    scope: aText,
    clientSecret: aText,
    privateKey: value => (typeof value === 'string' ? undefined : anObject(value)),
    algorithm: aText,
  },
  ['clientId', 'issuer'],
)

export const anAuth: Check = value => {
  if (typeof value === 'string' || typeof value === 'function') return undefined
  const problem = anObject(value)
  if (problem !== undefined || isProvider(value as McpAuth)) return problem
  return aCredential(value) ?? hasProof(value)
}

const hasProof = must('a client with `clientSecret`, or with `privateKey` and `algorithm`', value => {
  const { clientSecret, privateKey, algorithm } = value as Record<string, unknown>
  return clientSecret !== undefined || (privateKey !== undefined && algorithm !== undefined)
})

const isProvider = (auth: McpAuth): auth is McpOAuthProvider =>
  typeof auth === 'object' && 'tokens' in auth && typeof auth.tokens === 'function'

/** The provider for the SDK. */
export async function authProvider(auth: McpAuth): Promise<AuthProvider | OAuthClientProvider> {
  if (typeof auth === 'string') return { token: () => Promise.resolve(auth) }
  if (typeof auth === 'function') return { token: async () => auth() }
  if (isProvider(auth)) return auth as unknown as OAuthClientProvider
  const { ClientCredentialsProvider, PrivateKeyJwtProvider } = await import('@modelcontextprotocol/client')
  const { clientId, issuer, scope } = auth
  const common = { clientId, expectedIssuer: issuer, clientName: 'tidings', ...(scope !== undefined && { scope }) }
  if ('clientSecret' in auth) return new ClientCredentialsProvider({ ...common, clientSecret: auth.clientSecret })
  return new PrivateKeyJwtProvider({ ...common, privateKey: auth.privateKey, algorithm: auth.algorithm })
}

/** The texts of credentials that no answer or error may repeat. */
export function authSecrets(auth: McpAuth | undefined): string[] {
  if (typeof auth === 'string') return [auth]
  return typeof auth === 'object' && 'clientSecret' in auth ? [auth.clientSecret] : []
}
