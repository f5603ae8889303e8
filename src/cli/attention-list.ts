import type { Bus } from '../bus/bus.ts'
import type { DeferredDelivery, MissedWake } from '../bus/driver.ts'
import { correlationOf } from '../bus/ids.ts'
import { pausedBy } from '../bus/pauses.ts'
import type { FailedTask } from './failed-tasks.ts'
import { findUnhosted, type UnhostedTarget } from './unhosted.ts'

/** What a person should look at: a delivery set aside, a wake-up that nobody serves, a task that failed. */
export type AttentionItem =
  | ({ kind: DeferredDelivery['state'] } & Omit<DeferredDelivery, 'state'>)
  | MissedWake
  | UnhostedTarget
  | FailedTask

// Before its third attempt a delivery is just being tried again, and a wake-up this late is merely late.
const minDelayedAttempts = 3
const minOverdueMs = 10_000

export async function* listDeliveriesAndWakes(bus: Bus): AsyncGenerator<AttentionItem> {
  for await (const { state, ...entry } of bus.listDeferred())
    if (state !== 'delayed' || entry.attempts >= minDelayedAttempts) yield { kind: state, ...entry }
  yield* bus.missedWakes(Date.now() - minOverdueMs)
}

/** The same, and the targets that nobody hosts. It asks the index. */
export async function* listAttention(bus: Bus): AsyncGenerator<AttentionItem> {
  yield* listDeliveriesAndWakes(bus)
  yield* await findUnhosted(bus)
}

/** Commands that are the next thing to do about it. */
export function nextCommands(matter: AttentionItem): string[] {
  if (matter.kind === 'unhosted')
    return [`tidings run (an app that uses the ${matter.what})`, `tidings attention cancel ${matter.task}`]
  if (matter.kind === 'failed')
    return [
      `tidings retry ${matter.task}`,
      `tidings trace ${correlationOf(matter.task).slice(-6)}`,
      `tidings attention discard ${matter.task}`,
    ]
  if ('task' in matter)
    return [`tidings run`, `tidings replay --task ${matter.task}`, `tidings attention cancel ${matter.task}`]
  const { id, kind, key, reason, event } = matter
  // The task has failed and its caller was answered: what is left is to find the loop.
  if (reason.code === 'E_TASK_HOPS' || reason.code === 'E_BUDGET_EXCEEDED')
    return [`tidings trace ${event.correlationid}`, `tidings attention discard ${id}`]
  const fork = reason.data?.fork
  if (fork !== undefined)
    return [`tidings fork --from ${fork}`, `tidings attention retry --key ${key}`, `tidings attention discard ${id}`]
  const paused = key === undefined ? undefined : pausedBy(key)
  if (paused) return [`tidings resume ${paused.kind} ${paused.name}`]
  if (kind === 'parked' && key !== undefined)
    return [`tidings attention retry --key ${key}`, `tidings attention discard ${id}`]
  return [`tidings attention retry ${id}`, `tidings attention discard ${id}`]
}
