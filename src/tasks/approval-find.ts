import { TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import type { Bus } from '../bus/bus.ts'
import { callOfApproval, claimId, correlationOf, parseId, resultId, turnId } from '../bus/ids.ts'
import {
  approvalType,
  approvalTypes,
  claimedType,
  isApprovalRequest,
  type ApprovalClaim,
  type ApprovalRequest,
} from './approval.ts'
import { replayTarget } from './effects.ts'

/** A request for approval and what was said to it, all with their data. */
export interface ApprovalRecord {
  readonly request: CloudEvent<ApprovalRequest>
  /** Absent: nobody answered yet. */
  readonly answer?: CloudEvent
  /** Whose answer holds, be it that he did not come to give it. */
  readonly claim?: CloudEvent<ApprovalClaim>
}

/**
 * Finds an approval by the id of its request. Brokers find a turn by its id, and what lies behind it by its type; for any other id
 * they may search for long. @throws E_NOT_FOUND
 */
export async function findApproval(bus: Bus, id: string): Promise<ApprovalRecord> {
  const made = parseId(id)
  const turn = made && (await bus.find(turnId(made.task, made.version), correlationOf(made.task)))
  let request: CloudEvent | undefined
  let answer: CloudEvent | undefined
  let claim: CloudEvent | undefined
  if (turn || !made)
    for await (const { event } of bus.read({
      after: turn?.position ?? 0,
      filter: [{ types: [...approvalTypes, claimedType] }],
    })) {
      if (event.id === id) request ??= event
      else if (event.id === resultId(id)) answer ??= event
      else if (event.id === claimId(id)) claim ??= event
    }
  // What a redrive or a fork may not ask is answered without a person.
  const isMeant = request?.type === approvalType && request.target !== replayTarget
  const found = isMeant ? await bus.resolve(request!) : undefined
  if (!isApprovalRequest(found?.data))
    throw new TidingsError('E_NOT_FOUND', `${id} is no approval that a person was asked for`)
  return {
    request: found as CloudEvent<ApprovalRequest>,
    ...(answer && { answer: await bus.resolve(answer) }),
    ...(claim && { claim: (await bus.resolve(claim)) as CloudEvent<ApprovalClaim> }),
  }
}

/**
 * Whether somebody waits for the answer to a request. An answer that no task has taken yet may go unseen: brokers do not know
 * all ids. Before a tool runs it is its call that is waited for.
 */
export async function isOpen(bus: Bus, { id, deadline }: CloudEvent): Promise<boolean> {
  if (deadline !== undefined && Date.parse(deadline) <= Date.now()) return false
  const call = callOfApproval(id)
  return !(await bus.isCallSettled(id)) && (call === undefined || !(await bus.isCallSettled(call)))
}
