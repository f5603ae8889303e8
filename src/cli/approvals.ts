import type { Bus } from '../bus/bus.ts'
import { parseId } from '../bus/ids.ts'
import type { CloudEvent } from '../event.ts'
import { approvalTypes } from '../tasks/approval.ts'
import { PendingApprovals, type OpenApproval } from '../tasks/approval-list.ts'
import { osUser } from '../gateway/identity/local-key.ts'
import { eventsAt } from '../trace/index/events.ts'
import { shortId } from '../trace/short-id.ts'
import { dim, tidings } from '../trace/paint.ts'
import { preview, printable, shorten } from '../trace/text.ts'
import { formatTime, terminalWidth } from './event-line.ts'
import { queryIndex, withExistingLog } from './log.ts'
import { arrow, printAll, type GlobalOptions } from './output.ts'

/** Older requests are not listed. */
const maxEvents = 20_000

export async function approvalsCommand(options: GlobalOptions): Promise<void> {
  const open = await withExistingLog(async bus => openApprovalsIn(bus, await approvalEvents(bus)))
  await printAll(options, open, describeApproval, 'No request waits for approval.')
}

/** The newest events about approvals, in the order of the log. */
export async function approvalEvents(bus: Bus): Promise<CloudEvent[]> {
  const positions = await queryIndex(bus, index => index.ofTypes(approvalTypes, maxEvents))
  return (await eventsAt(bus, positions)).map(({ event }) => event)
}

/** Requests without an answer among these events, oldest first. */
export function openApprovalsIn(bus: Bus, events: readonly CloudEvent[]): Promise<OpenApproval[]> {
  const pending = new PendingApprovals()
  for (const event of events) pending.add(event)
  return pending.open(bus)
}

/** In whose name this command answers. */
export const cliIdentity = (): string => `cli/${osUser()}`

function describeApproval(approval: OpenApproval): string {
  const { id, name, from, what, approvers, since, until, hash, replay } = approval
  const version = parseId(id)?.version
  const turn = version === undefined ? '' : `, turn ${version}`
  const deadline = until === undefined ? 'no deadline' : `until ${formatTime(Date.parse(until))}`
  const short = shortId(id, from)
  const nextStep = `  ${arrow()} ${tidings} approve ${short}${dim('  or  ')}${tidings} deny ${short}`
  return [
    printable(`${name}  ${id}`),
    shorten(`  ${preview(what)}`, terminalWidth()),
    dim(
      printable(
        `  since ${formatTime(Date.parse(since))}  ${deadline}  asked by ${from}${turn}${replay === undefined ? '' : ` in ${replay}`}`,
      ),
    ),
    dim(printable(`  approvers: ${approvers?.join(', ') ?? 'anyone with an identity'}  hash ${hash}`)),
    ...(approvers === undefined || approvers.includes(cliIdentity()) ? [nextStep] : []),
  ].join('\n')
}
