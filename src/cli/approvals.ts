import type { Bus } from '../bus/bus.ts'
import { parseId } from '../bus/ids.ts'
import { approvalTypes } from '../tasks/approval.ts'
import { PendingApprovals, type OpenApproval } from '../tasks/approval-list.ts'
import { eventsAt } from '../trace/index/events.ts'
import { dim, preview, printable, shorten } from '../trace/text.ts'
import { moment, terminalWidth } from './event-line.ts'
import { ask, withExistingLog } from './log.ts'
import { say, type Globals } from './out.ts'

// Events about approvals: those that were asked before so many others are not listed.
const looked = 20_000

/** `tidings approvals` */
export async function approvals({ json }: Globals): Promise<void> {
  const open = await withExistingLog(openApprovals)
  for (const approval of open) await say(json ? JSON.stringify(approval) : lines(approval, terminalWidth()).join('\n'))
  if (open.length === 0 && !json) await say('Nothing waits for approval.')
}

/** What waits for a person, the oldest first. */
export async function openApprovals(bus: Bus): Promise<OpenApproval[]> {
  const pending = new PendingApprovals()
  const positions = await ask(bus, index => index.ofTypes(approvalTypes, looked))
  for (const { event } of await eventsAt(bus, positions)) pending.add(event)
  return pending.open(bus)
}

function lines(approval: OpenApproval, width: number): string[] {
  const { id, name, from, what, who, since, until, hash, replay } = approval
  const version = parseId(id)?.version
  const turn = version === undefined ? '' : `, turn ${version}`
  const times = `since ${moment(Date.parse(since))}  ${until === undefined ? 'for ever' : `until ${moment(Date.parse(until))}`}`
  return [
    printable(`${name}  ${id}`),
    shorten(`  ${preview(what)}`, width),
    dim(printable(`  ${times}  asked by ${from}${turn}${replay === undefined ? '' : ` in ${replay}`}`)),
    dim(printable(`  may be answered by ${who?.join(', ') ?? 'whoever has an identity'}  hash ${hash}`)),
  ]
}
