import type { Timeout } from '../tasks/duration.ts'
import { requestType } from '../tasks/script.ts'
import { toMs } from './deadline.ts'
import type { ApproveStep, Target } from './definition.ts'
import type { ReceivedEvent } from './match.ts'
import type { CallSlot, Command } from './state.ts'

/* Commands of an instance. */

export function callCommand(slot: CallSlot, target: Target, input: unknown, within: Timeout): Command {
  const data = { input: input ?? null }
  return { kind: 'call', slot, type: requestType(target.kind), target: target.name, data, within: toMs(within) }
}

/** @param request id of the approval request */
export function reminderCommand(step: ApproveStep, input: unknown, request: string | undefined): Command {
  const data = { approval: step.as, ...(step.who && { who: step.who }), what: { input } }
  return { kind: 'emit', type: 'approval.reminded', data, ...(request !== undefined && { subject: request }) }
}

/** @param step id of the current step */
export function lateCommand({ id, type }: ReceivedEvent, step: string | undefined): Command {
  return { kind: 'emit', type: 'workflow.late', data: { event: id, type, at: step ?? null }, subject: id }
}
