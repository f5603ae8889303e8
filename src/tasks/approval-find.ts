import { TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import type { Bus } from '../bus/bus.ts'
import { beginning, withOffset } from '../bus/cursor.ts'
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

/** A request for approval with its answer, all with their data. */
export interface ApprovalRecord {
  readonly request: CloudEvent<ApprovalRequest>
  /** Absent until there is an answer. */
  readonly answer?: CloudEvent
  /** Decides whose answer counts, even if that process died before it published the answer. */
  readonly claim?: CloudEvent<ApprovalClaim>
}

/**
 * Finds an approval by the id of its request. A driver finds the turn by its id, and what follows it by type; for any other id the
 * search may take long. @throws E_NOT_FOUND
 */
export async function findApproval(bus: Bus, id: string): Promise<ApprovalRecord> {
  const made = parseId(id)
  const turn = made && (await bus.find(turnId(made.task, made.version), correlationOf(made.task)))
  const head = await bus.head()
  let request: CloudEvent | undefined
  let answer: CloudEvent | undefined
  let claim: CloudEvent | undefined
  if (turn || !made)
    for await (const { event } of bus.read({
      // Of other partitions than that of the turn, nothing is read.
      after: turn ? withOffset(head, turn.position.partition, turn.position.offset) : beginning,
      until: head,
      filter: [{ types: [...approvalTypes, claimedType] }],
    })) {
      if (event.id === id) request ??= event
      else if (event.id === resultId(id)) answer ??= event
      else if (event.id === claimId(id)) claim ??= event
    }
  // A request that the effect policy of a redrive or fork does not allow is answered without a person.
  const isMeant = request?.type === approvalType && request.target !== replayTarget
  const found = isMeant ? await bus.resolve(request!) : undefined
  if (!isApprovalRequest(found?.data)) throw notAnApproval(id)
  return {
    request: found as CloudEvent<ApprovalRequest>,
    ...(answer && { answer: await bus.resolve(answer) }),
    ...(claim && { claim: (await bus.resolve(claim)) as CloudEvent<ApprovalClaim> }),
  }
}

export const notAnApproval = (id: string) =>
  new TidingsError(
    'E_NOT_FOUND',
    `${id} is not the id of a request for approval: \`tidings approvals\` lists the open ones`,
  )

/**
 * Whether a task waits for the answer to a request. An answer that no task has processed yet may be missed, because drivers do not
 * index all ids. If the request is for a tool call, the task waits for that call.
 */
export async function isOpen(bus: Bus, { id, deadline }: CloudEvent): Promise<boolean> {
  if (deadline !== undefined && Date.parse(deadline) <= bus.now()) return false
  const call = callOfApproval(id)
  return !(await bus.isCallSettled(id)) && (call === undefined || !(await bus.isCallSettled(call)))
}
