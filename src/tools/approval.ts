import { createEvent, handedDown, type CloudEvent } from '../event.ts'
import type { Bus } from '../bus/bus.ts'
import { approvalId, callBehind } from '../bus/ids.ts'
import { copyOf } from '../json.ts'
import { validate } from '../schema.ts'
import { approvalRequest, type ApprovalRequest } from '../tasks/approval.ts'
import { isOpen } from '../tasks/approval-find.ts'
import { sealed } from '../tasks/turn.ts'
import type { AnyTool } from './tool.ts'

/*
 * A tool that a person must allow is asked for in two steps, and nothing holds a slot in between:
 *
 *     tool.invoke ──▶ approval.requested          approval.granted ──▶ the call again, and now it runs
 *                                                 approval.denied  ──▶ tool.failed
 */

/** Whether a person must be asked about this call. Only a clear no lets it run. */
export async function needsApproval({ name, options }: AnyTool, call: CloudEvent): Promise<boolean> {
  const { approval, input } = options
  if (typeof approval !== 'function') return approval !== undefined
  return approval(await validate(input, copyOf(inputOf(call)), 'E_TOOL_INPUT', name)) !== false
}

/** What a person is asked about a call: the same whenever it is made. */
export function requestFor(bus: Bus, { name, options }: AnyTool, call: CloudEvent): CloudEvent<ApprovalRequest> {
  const { approvers: who } = options
  const request = createEvent({
    ...approvalRequest({ name, ...(who && { who }), what: { tool: name, input: inputOf(call) } }),
    id: approvalId(call.id),
    source: `/tools/${name}`,
    ...handedDown(call),
    causationid: call.id,
    hops: call.hops,
    replyto: name,
    ...(call.deadline !== undefined && { deadline: call.deadline }),
  })
  return sealed(bus.redactor.event(request)) as CloudEvent<ApprovalRequest>
}

/** The call that an answer of a person is about; undefined where it is about something else, or the call is gone. */
export async function callOf(bus: Bus, { call, target, correlationid }: CloudEvent): Promise<CloudEvent | undefined> {
  const id = callBehind(call ?? '')
  const found = id === undefined ? undefined : await bus.get(id, correlationid)
  return found?.type === 'tool.invoke' && found.target === target ? bus.resolve(found) : undefined
}

/** The same while somebody waits for the call. */
export async function waitingCallOf(bus: Bus, answer: CloudEvent): Promise<CloudEvent | undefined> {
  const call = await callOf(bus, answer)
  return call && (await isOpen(bus, call)) ? call : undefined
}

const inputOf = ({ data }: CloudEvent) => (data as { input?: unknown } | null)?.input
