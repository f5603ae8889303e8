import type { Bus } from '../../bus/bus.ts'
import { type CloudEvent, defaultTenant } from '../../event.ts'
import { httpError } from '../../http/response.ts'
import { matchesType } from '../../pattern.ts'
import type { OperatorCredential } from '../../tasks/operation.ts'
import { type ApiKey, hasKeyPrefix, KeyTable } from './api-keys.ts'
import { TokenVerifier } from './jwt.ts'
import { type JwtPolicy, permits, PolicyFile } from './policy.ts'
import type { Action, Principal } from './principal.ts'
import { RateLimits } from './rate-limits.ts'
import { ticketPrefix, Tickets } from './tickets.ts'

/** What a request shows of its sender. */
export interface Presented {
  readonly authorization?: string | undefined
  readonly cookie?: string | undefined
  /** The query parameter of a stream. */
  readonly ticket?: string | undefined
  /** Headers of browsers: `Origin` and `Sec-Fetch-Site`. */
  readonly origin?: string | undefined
  readonly fetchSite?: string | undefined
  /** Of the client, for the limit of wrong credentials. */
  readonly address: string
  /** Of the body: its length, or the most that it may have. */
  readonly bytes: number
}

/** A credential that was accepted: what a ticket passes on. */
interface Credential {
  readonly tenant: string
  readonly user: string
  readonly roles: readonly string[]
  /** Absent for a token (JWT). */
  readonly key?: ApiKey
  /** Ms since the epoch, for a token. */
  readonly expires?: number
}

/** What a client must know to get a token. */
interface TokenPolicy {
  readonly issuer: string
  readonly audiences: readonly string[]
  /** If scopes are roles. */
  readonly scopes?: readonly string[]
}

/** Claims of OAuth scopes. Source: RFC 9068, 2.2.3. */
const scopeClaims: ReadonlySet<string> = new Set(['scope', 'scp'])

const refreshIntervalMs = 2_000
const maxDecisions = 1_000

/**
 * Who sends a request, by API key, token (JWT), cookie or ticket, and what the policy file permits them. Keys and the file are read again
 * every two seconds.
 */
export class Identity {
  readonly #bus: Bus
  readonly #policy: PolicyFile
  readonly #keys: KeyTable
  readonly #tickets: Tickets<Credential>
  readonly #limits = new RateLimits()
  readonly #credentials = new WeakMap<Principal, Credential>()
  readonly #refresh: NodeJS.Timeout
  #verifier: { readonly policy: JwtPolicy; readonly tokens: TokenVerifier } | undefined

  /** `policy`: path of the file. @throws E_SETTING_INVALID with the path of the first fault */
  constructor(bus: Bus, policy: string) {
    this.#bus = bus
    this.#policy = new PolicyFile(policy)
    this.#keys = new KeyTable(bus)
    this.#tickets = new Tickets(bus)
    const refresh = () => {
      void this.#policy.refresh()
      void this.#keys.refresh().catch(() => {})
    }
    this.#refresh = setInterval(refresh, refreshIntervalMs).unref()
  }

  /** Web origins that may use the gateway besides its own. */
  get origins(): readonly string[] {
    return this.#policy.current.origins
  }

  /** Who issues tokens for this gateway, and what they are for. Undefined if it accepts none. */
  get tokenPolicy(): TokenPolicy | undefined {
    const { jwt, roles } = this.#policy.current
    if (!jwt) return undefined
    const audiences = [jwt.audience].flat()
    return { issuer: jwt.issuer, audiences, ...(scopeClaims.has(jwt.claims.roles) && { scopes: Object.keys(roles) }) }
  }

  /** The roles that permit it, to name them in a challenge. */
  rolesThatMay(action: Exclude<Action, 'operate'>, type: string): string[] {
    const { roles } = this.#policy.current
    return Object.keys(roles).filter(name => roles[name]![action].some(pattern => matchesType(pattern, type)))
  }

  /**
   * The sender of a request; undefined if it shows no credential.
   * @throws 401 E_CREDENTIAL_UNKNOWN, 429 E_RATE_LIMITED, 503 E_LOG_UNAVAILABLE
   */
  async identify(presented: Presented): Promise<Principal | undefined> {
    const { address, bytes } = presented
    const secret = this.#secretOf(presented)
    if (secret === undefined) return undefined
    const isBlocked = await this.#limits.isBlocked(address)
    const found = await this.#accept(secret, !isBlocked)
    if ('problem' in found) {
      await this.#limits.countWrong(address)
      throw httpError(401, found.problem, { code: 'E_CREDENTIAL_UNKNOWN' })
    }
    const { key, tenant, user } = found
    const name = key ? `key/${key.id}` : `user/${tenant}/${user}`
    await this.#limits.count(name, bytes, this.#policy.current.limits)
    return this.#principalOf(found)
  }

  /** A ticket for one stream, which stands for the credential of this principal. Undefined for principals of others. @throws E_LOG_UNAVAILABLE */
  async ticketFor(principal: Principal): Promise<{ readonly ticket: string; readonly expiresAt: string } | undefined> {
    const credential = this.#credentials.get(principal)
    return credential && this.#tickets.issue(credential)
  }

  /** By which a worker checks who gives a command. Undefined for principals of others. */
  operatorCredential(principal: Principal): OperatorCredential | undefined {
    const credential = this.#credentials.get(principal)
    return credential && (credential.key ? { key: credential.key.id } : { roles: credential.roles })
  }

  /**
   * Whether a user that an event names may give commands of operators. The roles of an API key are those on the log; those of a token are
   * the word of the gateway. @throws E_LOG_UNAVAILABLE
   */
  async mayOperate({ tenant, user }: CloudEvent, credential: OperatorCredential): Promise<boolean> {
    await this.#policy.refresh()
    const { current } = this.#policy
    if ('roles' in credential)
      return current.jwt !== undefined && permits(current, { ...credential, tenant }, 'operate')
    const key = await this.#keys.byId(credential.key)
    return key?.tenant === tenant && key.name === user && permits(current, key, 'operate')
  }

  close() {
    clearInterval(this.#refresh)
  }

  /** The text of the credential. @throws 401 E_CREDENTIAL_UNKNOWN for a header of another form */
  #secretOf({ authorization, ticket, cookie, origin, fetchSite }: Presented): string | undefined {
    if (authorization !== undefined) {
      const secret = /^Bearer +([\x21-\x7e]{1,8192})$/i.exec(authorization)?.[1]
      if (secret !== undefined && !secret.startsWith(ticketPrefix)) return secret
      throw httpError(401, 'the Authorization header must be: Bearer, then an API key or a token', {
        code: 'E_CREDENTIAL_UNKNOWN',
      })
    }
    if (ticket !== undefined) return `${ticketPrefix}${ticket.replace(ticketPrefix, '')}`
    const { cookie: name, origins } = this.#policy.current
    const secret = name === undefined ? undefined : cookieIn(cookie, name)
    if (secret === undefined) return undefined
    // The browser sends the cookie whichever page asks for it. A page of the gateway's own origin may send no Origin with a GET.
    if (origin === undefined ? fetchSite === 'same-origin' : origins.includes(origin)) return secret
    throw httpError(
      403,
      `a cookie is accepted only from pages of the origins in the policy, not of ${origin ?? 'none'}`,
      {
        code: 'E_CREDENTIAL_UNKNOWN',
      },
    )
  }

  async #accept(secret: string, mayRead: boolean): Promise<Credential | { readonly problem: string }> {
    if (secret.startsWith(ticketPrefix)) {
      const credential = await this.#tickets.redeem(secret)
      if (!credential)
        return { problem: 'the ticket is unknown, was used before or is older than 30 seconds; get another one' }
      const { key } = credential
      const isValid = key ? await this.#keys.isValid(key) : !this.#hasEnded(credential)
      return isValid ? credential : { problem: 'the credential of this ticket was revoked or has expired' }
    }
    if (hasKeyPrefix(secret)) {
      const key = await this.#keys.find(secret, mayRead)
      if (!key) return { problem: 'the API key is unknown, was revoked or has expired; `tidings keys list` shows all' }
      return { tenant: key.tenant, user: key.name, roles: key.roles, key }
    }
    const tokens = this.#tokens()
    if (!tokens) return { problem: 'the credential is not an API key, and the policy has no "jwt"' }
    const found = await tokens.verify(secret, this.#bus.now())
    return 'problem' in found
      ? { problem: `the token is refused: ${found.problem}` }
      : { tenant: defaultTenant, ...found }
  }

  #tokens(): TokenVerifier | undefined {
    const { jwt: policy } = this.#policy.current
    if (!policy) return undefined
    if (this.#verifier?.policy !== policy) this.#verifier = { policy, tokens: new TokenVerifier(policy) }
    return this.#verifier.tokens
  }

  #hasEnded({ key, expires }: Credential): boolean {
    return key ? this.#keys.hasEnded(key) : expires! <= this.#bus.now()
  }

  #principalOf(credential: Credential): Principal {
    const { tenant, user } = credential
    let policy = this.#policy.current
    const decisions = new Map<string, boolean>()
    const principal: Principal = {
      tenant,
      user,
      may: (action: Action, type?: string) => {
        if (policy !== this.#policy.current || decisions.size > maxDecisions) decisions.clear()
        policy = this.#policy.current
        const question = `${action} ${type ?? ''}`
        let decision = decisions.get(question)
        if (decision === undefined) decisions.set(question, (decision = permits(policy, credential, action, type)))
        return decision
      },
      hasEnded: () => this.#hasEnded(credential),
    }
    this.#credentials.set(principal, credential)
    return principal
  }
}

function cookieIn(header: string | undefined, name: string): string | undefined {
  const found = (header ?? '')
    .split(';')
    .map(each => each.trim())
    .find(each => each.startsWith(`${name}=`))
  return found?.slice(name.length + 1).replace(/^"(.*)"$/, '$1') || undefined
}
