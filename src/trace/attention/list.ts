import type { Bus } from '../../bus/bus.ts'
import type { DeferredDelivery, MissedWake } from '../../bus/driver.ts'
import { correlationOf } from '../../bus/ids.ts'
import { pausedBy } from '../../bus/pauses.ts'
import type { QueryIndex } from '../index/open.ts'
import type { FailedTask } from './failed-tasks.ts'
import { findUnhosted, type UnhostedTarget } from './unhosted.ts'

/** What a person should look at: a deferred delivery, a missed timer, a call that nobody hosts, a failed task. */
export type AttentionItem = DeferredItem | MissedWake | UnhostedTarget | FailedTask

export type DeferredItem = { kind: DeferredDelivery['state'] } & Omit<DeferredDelivery, 'state'>

// Below these, a delivery is an ordinary retry, and a timer is only a little late.
const minDelayedAttempts = 3
const minOverdueMs = 10_000

/** Deliveries that were set aside. */
export async function* listDeferredItems(bus: Bus): AsyncGenerator<DeferredItem> {
  for await (const { state, ...entry } of bus.listDeferred())
    if (state !== 'delayed' || entry.attempts >= minDelayedAttempts) yield { kind: state, ...entry }
}

/** Timers that nobody serves. A broker looks at the newest turn of every task to find them. */
export const listMissedWakes = (bus: Bus): AsyncIterable<MissedWake> => bus.missedWakes(Date.now() - minOverdueMs)

export async function* listDeliveriesAndWakes(bus: Bus): AsyncGenerator<AttentionItem> {
  yield* listDeferredItems(bus)
  yield* listMissedWakes(bus)
}

/** Like {@link listDeliveriesAndWakes}, with the targets that nobody hosts, which needs the index. */
export async function* listAttention(bus: Bus, query: QueryIndex): AsyncGenerator<AttentionItem> {
  yield* listDeliveriesAndWakes(bus)
  yield* await findUnhosted(bus, query)
}

/** Items with the same key are shown as one entry: thousands may be parked under one key, or wait for one provider. */
export function similarityKey(item: AttentionItem): string | undefined {
  if (item.kind === 'failed') return `failed ${item.program} ${item.code}`
  if (item.kind === 'delayed' || (item.kind === 'parked' && item.key !== undefined))
    return `${item.key ?? item.group} ${item.reason.code} ${item.reason.message}`
  return undefined
}

/** What a person can do about an item, as commands. */
export function nextCommands(item: AttentionItem): string[] {
  if (item.kind === 'unhosted')
    return [`tidings run (an app that hosts the ${item.what})`, `tidings attention cancel ${item.task}`]
  if (item.kind === 'failed')
    return [
      `tidings retry ${item.task}`,
      `tidings trace ${correlationOf(item.task).slice(-6)}`,
      `tidings attention discard ${item.task}`,
    ]
  if ('task' in item)
    return [`tidings run`, `tidings replay --task ${item.task}`, `tidings attention cancel ${item.task}`]
  const { id, kind, key, reason, event } = item
  // The task has failed and its caller was answered: what is left is to find the loop.
  if (reason.code === 'E_TASK_HOPS' || reason.code === 'E_BUDGET_EXCEEDED')
    return [`tidings trace ${event.correlationid}`, `tidings attention discard ${id}`]
  const fork = reason.data?.fork
  if (fork !== undefined)
    return [`tidings fork --from ${fork}`, `tidings attention retry --key ${key}`, `tidings attention discard ${id}`]
  const paused = key === undefined ? undefined : pausedBy(key)
  if (paused) return [`tidings resume ${paused.kind} ${paused.name}`]
  if (reason.code === 'E_MCP_CHANGED') return [`tidings pin --check`, `tidings pin`, `tidings attention discard ${id}`]
  if (kind === 'parked' && key !== undefined)
    return [`tidings attention retry --key ${key}`, `tidings attention discard ${id}`]
  return [`tidings attention retry ${id}`, `tidings attention discard ${id}`]
}
