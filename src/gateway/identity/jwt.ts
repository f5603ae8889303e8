import { createRemoteJWKSet, errors, jwtVerify, type JWTPayload } from 'jose'
import { textOf, TidingsError } from '../../errors.ts'
import { isTenant } from '../../event.ts'
import type { JwtPolicy } from './policy.ts'

/** Signatures with a public key only: with a shared secret, every process that checks tokens could also make them. */
const algorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']
/** A key that is unknown is looked for at the issuer, at most this often. */
const cooldownDuration = 10_000
const cacheMaxAge = 10 * 60_000
const timeoutDuration = 5_000

/** What a token says about its bearer. */
export interface TokenIdentity {
  /** Undefined where the policy names no claim for it. */
  readonly tenant?: string
  readonly user: string
  readonly roles: readonly string[]
  /** Ms since the epoch. */
  readonly expires: number
}

/** Checks tokens (JWT) of one issuer with the public keys that it serves. */
export class TokenVerifier {
  readonly #policy: JwtPolicy
  readonly #keys: ReturnType<typeof createRemoteJWKSet>

  constructor(policy: JwtPolicy) {
    this.#policy = policy
    this.#keys = createRemoteJWKSet(new URL(policy.jwks), { cooldownDuration, cacheMaxAge, timeoutDuration })
  }

  /** `now`: ms since the epoch. The identity, or why the token is refused. @throws E_LOG_UNAVAILABLE if the keys cannot be read */
  async verify(token: string, now: number): Promise<TokenIdentity | { readonly problem: string }> {
    const { issuer, audience, clockSkewSeconds: clockTolerance } = this.#policy
    try {
      const { payload } = await jwtVerify(token, this.#keys, {
        issuer,
        audience,
        algorithms,
        clockTolerance,
        requiredClaims: ['exp'],
        currentDate: new Date(now),
      })
      return this.#identityIn(payload)
    } catch (cause) {
      if (cause instanceof errors.JOSEError && !unreadable.has(cause.code)) return { problem: cause.message }
      throw new TidingsError('E_BUSY', `the keys at ${this.#policy.jwks} cannot be read: ${textOf(cause)}`, {
        cause,
        retryable: true,
        next: 'Check that this machine reaches the address of `jwt.jwks` in the policy.',
      })
    }
  }

  #identityIn(payload: JWTPayload): TokenIdentity | { readonly problem: string } {
    const { claims, clockSkewSeconds } = this.#policy
    const user = claimIn(payload, claims.user)
    if (!isUser(user)) return { problem: `the claim "${claims.user}" must be the name of a user` }
    const tenant = claims.tenant === undefined ? undefined : claimIn(payload, claims.tenant)
    if (claims.tenant !== undefined && !isTenant(tenant))
      return { problem: `the claim "${claims.tenant}" must be a tenant: a lower-case name of at most 63 characters` }
    const named = claimIn(payload, claims.roles) ?? []
    const roles = typeof named === 'string' ? named.split(' ') : named
    if (!Array.isArray(roles) || !roles.every(role => typeof role === 'string'))
      return { problem: `the claim "${claims.roles}" must be a list of roles` }
    const expires = (payload.exp! + clockSkewSeconds) * 1_000
    return { ...(isTenant(tenant) && { tenant }), user, roles, expires }
  }
}

// `cli/NAME` is a person who answers with the command line.
const isUser = (name: unknown): name is string =>
  typeof name === 'string' && /^[^\p{Cc}]{1,256}$/u.test(name) && !name.startsWith('cli/')

const unreadable = new Set(['ERR_JWKS_TIMEOUT', 'ERR_JWKS_INVALID', 'ERR_JOSE_GENERIC'])

/** A claim by its name, or by the path to it, such as `realm_access.roles`. */
function claimIn(payload: JWTPayload, name: string): unknown {
  if (Object.hasOwn(payload, name)) return payload[name]
  let value: unknown = payload
  for (const key of name.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined
    value = (value as Record<string, unknown>)[key]
  }
  return value
}
