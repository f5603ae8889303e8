import type { Bus } from '../../src/bus/bus.ts'
import type { CloudEvent } from '../../src/event.ts'
import type { ApprovalRequest } from '../../src/tasks/approval.ts'
import { answerApproval } from '../../src/tasks/approval-answer.ts'
import { until } from '../../src/testing/wait.ts'
import { eventsOf } from './world.ts'

type Asked = CloudEvent<ApprovalRequest>

/** The approvals that were asked for, once there are so many. */
export const asked = (bus: Bus, correlation: string, count = 1): Promise<Asked[]> =>
  until(async () => {
    const found = (await eventsOf({ bus }, correlation)).filter(({ type }) => type === 'approval.requested')
    return found.length >= count && (Promise.all(found.map(event => bus.resolve(event))) as Promise<Asked[]>)
  })

/** The answer of a person to a request. */
export const answerRequest = (
  bus: Bus,
  decision: 'grant' | 'deny',
  { id, data }: Asked,
  by = 'ann',
  more: object = {},
) => answerApproval(bus, { id, decision, hash: data.hash, by, source: '/test', ...more })

/** The code with which something is refused. */
export const codeOf = (refused: Promise<unknown>): Promise<string> =>
  refused.then(
    () => 'nothing was refused',
    error => error.code,
  )
