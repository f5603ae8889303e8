import { TidingsError } from '../../errors.ts'
import { defaultTenant, isTenant } from '../../event.ts'
import { httpError } from '../../http/response.ts'

/**
 * What a policy can permit. `publish` and `read` are about event types, `approve` about names of approvals, `operate` about metrics, pausing,
 * retrying and the like.
 */
export type Action = 'publish' | 'read' | 'approve' | 'operate'

/**
 * Who sends a request, and what they may do. It follows from the credential alone, never from the body of the request.
 * @example
 * import type { Principal } from 'tidings'
 * const ann: Principal = { tenant: 'acme', user: 'ann', may: action => action !== 'operate' }
 * const response = await running.fetchAs(ann, request)
 */
export interface Principal {
  /** The tenant that bounds all that the principal reads and writes. */
  readonly tenant: string
  /** The `user` of what they publish. Undefined for a credential without a name. */
  readonly user?: string
  /** `type`: the type of the event that is published or read, or the name of the approval. Without it: whether any is permitted. */
  may(action: Action, type?: string): boolean
  /** Whether the credential was revoked or has expired since: streams that it opened then end. */
  hasEnded?(): boolean
}

/** Every client of a gateway without identity, which listens on loopback only. */
export const anyone: Principal = { tenant: defaultTenant, may: () => true }

/** A client without a credential, where the gateway demands one. */
export const nobody: Principal = { tenant: defaultTenant, may: () => false }

/**
 * What the gateway takes of a principal that a server of the app names. A mistake there must not make a request pass as that of everyone.
 * @throws E_REQUEST_INVALID
 */
export function checkedPrincipal(given: Principal): Principal {
  const { tenant, user } = given ?? {}
  if (
    !isTenant(tenant) ||
    typeof given.may !== 'function' ||
    (user !== undefined && (typeof user !== 'string' || user === ''))
  )
    throw new TidingsError(
      'E_REQUEST_INVALID',
      'fetchAs(): the principal must be { tenant, user?, may }: a lower-case name, a text and a function',
    )
  return {
    tenant,
    ...(user !== undefined && { user }),
    may: (action, type) => given.may(action, type) === true,
    hasEnded: () => given.hasEnded?.() ?? false,
  }
}

/** @throws 403 E_FORBIDDEN */
export function assertMay(principal: Principal, action: Action, type?: string): void {
  if (principal.may(action, type)) return
  const { user } = principal
  const who = user === undefined ? 'this credential' : `"${user}"`
  throw httpError(403, `${who} may not ${action}${type === undefined ? '' : ` ${type}`}`, { code: 'E_FORBIDDEN' })
}
