import { defaultTenant, type CloudEvent } from '../../event.ts'
import { TidingsError } from '../../errors.ts'
import type { Identity } from '../../gateway/identity/identity.ts'
import type { OperationRequested } from '../../tasks/operation.ts'

/*
 * Whether a command of an operator may be executed. The worker decides by its own policy, because everyone with the rights of a gateway can
 * publish a request:
 *
 *     worker      request names       decision
 *     policy      a credential        as the policy says, for the key as the log has it
 *     policy      none                refused: it passed by every gateway that knows who calls
 *     no policy   none                executed: a gateway on loopback, or in a server of the app
 *     no policy   a credential        refused: the setting is missing here
 */

/** `identity`: undefined without a policy. @throws E_FORBIDDEN, E_LOG_UNAVAILABLE */
export async function assertPermitted(
  identity: Identity | undefined,
  event: CloudEvent,
  { request, credential }: OperationRequested,
): Promise<void> {
  const { tenant, user } = event
  const who = user === undefined ? 'a request without a user' : `"${user}"`
  if (!identity !== !credential)
    throw forbidden(
      identity
        ? `${who} shows no credential, and this worker has a policy`
        : `${who} shows a credential, and the worker that hosts the agents has no policy to check it`,
      'Set TIDINGS_POLICY to the same policy file for the gateway and for the workers that host agents.',
    )
  if (identity && credential && !(await identity.mayOperate(event, credential)))
    throw forbidden(`${who} of the tenant "${tenant}" may not operate`)
  if ((request.action === 'pause' || request.action === 'resume') && tenant !== defaultTenant)
    throw forbidden(
      `${who} of the tenant "${tenant}" may not ${request.action} a ${request.kind}, which all tenants share`,
      `Use a credential of the tenant "${defaultTenant}".`,
    )
}

const forbidden = (problem: string, next?: string) => new TidingsError('E_FORBIDDEN', problem, { next })
