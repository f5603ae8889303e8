import { TidingsError } from '../../errors.ts'

/** Who calls over MCP, and what they may do. The principal of a gateway is one. */
export interface McpCaller {
  readonly tenant: string
  readonly user?: string
  may(action: 'publish' | 'read' | 'approve', type?: string): boolean
  /** Whether the credential was revoked or has expired since. */
  hasEnded?(): boolean
}

/** Whether a caller may call what is published, and see how it ends. */
export const mayCall = (caller: McpCaller): boolean =>
  caller.may('publish', 'agent.invoke') && caller.may('read', 'agent.invoke')

/** @throws E_FORBIDDEN */
export function assertCallerMay(caller: McpCaller, action: 'publish' | 'read', type: string): void {
  if (caller.may(action, type)) return
  const { user } = caller
  throw new TidingsError('E_FORBIDDEN', `${user === undefined ? 'this client' : `"${user}"`} may not ${action} ${type}`)
}

/** @throws E_CREDENTIAL_UNKNOWN */
export function assertStillValid(caller: McpCaller): void {
  if (caller.hasEnded?.())
    throw new TidingsError('E_CREDENTIAL_UNKNOWN', 'the credential was revoked or has expired while the call ran')
}
