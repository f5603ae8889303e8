import type { Bus } from '../../bus/bus.ts'
import { correlationFor, isTextDerived, parseId, taskId } from '../../bus/ids.ts'
import { TidingsError } from '../../errors.ts'
import type { Draft } from '../../event.ts'
import { isRuntimeType } from '../../bus/admit.ts'

/**
 * Checks that events from outside enter only correlations and tasks of their own tenant. A correlation belongs to the tenant of its first
 * event. One that is unknown may be named, unless it is derived from an id, which another tenant could guess. Others are not found, as if
 * they did not exist. @throws E_NOT_FOUND, E_LOG_UNAVAILABLE
 */
export async function assertOwn(bus: Bus, tenant: string, drafts: readonly Draft[]): Promise<void> {
  const checked = new Set<string>()
  for (const draft of drafts) {
    const { correlationid, type, subject, target } = draft
    // Of the requests, only messages and cancellations have the correlation of a task.
    const task = isRuntimeType(type) && type !== 'agent.invoke' ? subject : undefined
    if (task !== undefined) await assertOwnTask(bus, tenant, { task, correlation: correlationid!, program: target! })
    else if (correlationid !== undefined && checked.size !== checked.add(correlationid).size)
      await assertOwnCorrelation(bus, draft, correlationid, tenant)
  }
}

async function assertOwnCorrelation(bus: Bus, { id }: Draft, correlation: string, tenant: string): Promise<void> {
  for await (const { event } of bus.read({ correlation })) {
    if (event.tenant === tenant) return
    throw notFound(`the log has no correlation ${correlation}`)
  }
  if (isTextDerived(correlation) && (id === undefined || correlationFor({ id, tenant }) !== correlation))
    throw notFound(`the log has no correlation ${correlation}, and a new one must be a UUIDv4 or UUIDv7`)
}

interface AddressedTask {
  readonly task: string
  readonly correlation: string
  readonly program: string
}

/** A task is known by its turns, and before its first one by the event that starts it. */
async function assertOwnTask(bus: Bus, tenant: string, { task, correlation, program }: AddressedTask): Promise<void> {
  for await (const { event } of bus.read({ correlation })) {
    if (event.tenant !== tenant) continue
    if (parseId(event.id)?.task === task || taskId(correlation, program, event.id) === task) return
  }
  throw notFound(`the log has no task ${task}`)
}

const notFound = (problem: string) => new TidingsError('E_NOT_FOUND', problem)
