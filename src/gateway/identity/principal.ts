import { defaultTenant } from '../../event.ts'
import { httpError } from '../../http/response.ts'

/** What a policy can permit. `publish` and `read` are about event types, `operate` about pausing, retrying and the like. */
export type Action = 'publish' | 'read' | 'approve' | 'operate'

/** Who sends a request, and what they may do. It follows from the credential alone, never from the body of the request. */
export interface Principal {
  /** The tenant that bounds all that the principal reads and writes. */
  readonly tenant: string
  /** The `user` of what they publish. Undefined for a credential without a name. */
  readonly user?: string
  /** `type`: the type of the event that is published or read. */
  may(action: Action, type?: string): boolean
}

/** @throws 403 E_REQUEST_INVALID */
export function assertMay({ may, user = 'this credential' }: Principal, action: Action, type?: string): void {
  if (may(action, type)) return
  throw httpError(403, `${user} may not ${action}${type === undefined ? '' : ` ${type}`}`)
}

/** Every client of a gateway without credentials, which listens on loopback only. */
export const anyone: Principal = { tenant: defaultTenant, may: () => true }
