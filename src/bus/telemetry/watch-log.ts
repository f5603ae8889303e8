import { setTimeout } from 'node:timers/promises'
import { offsetsOf } from '../cursor.ts'
import type { LogAccess } from '../log-access.ts'
import { metrics } from './metrics.ts'

const cacheTtlMs = 1_000
const timeoutMs = 5_000
const maxEntries = 10_000

type WatchedLog = Pick<LogAccess, 'problem' | 'partitions' | 'head' | 'listGroups' | 'listDeferred'>

const watched = new Set<WatchedLog>()
let last: { at: number; done: Promise<void> } | undefined

/** Adds the state of this log to the metrics. Returns the function that removes it. */
export function watchLog(log: WatchedLog): () => void {
  watched.add(log)
  return () => void watched.delete(log)
}

/** Updates the gauges, at most once a second. */
export function refreshGauges(): Promise<void> {
  const now = Date.now()
  if (!last || now - last.at >= cacheTtlMs) last = { at: now, done: refresh() }
  return last.done
}

async function refresh(): Promise<void> {
  const { lag, inFlight, attention, position, logUp } = metrics
  const found = await Promise.all([...watched].map(readState))
  for (const gauge of [lag, inFlight, attention, position, logUp]) gauge.clear()
  for (const { groups, offsets, entries } of found) {
    logUp.set(offsets === undefined ? 0 : 1)
    offsets?.forEach((offset, partition) => position.set(offset, String(partition)))
    for (const group of groups ?? []) {
      lag.set(group.lag, group.group)
      inFlight.set(group.inFlight, group.group)
    }
    for (const [state, count] of Object.entries(entries ?? {})) attention.set(count, state)
  }
}

/** The state that the log reports in time. This process may lack permission for a part of it. */
async function readState(log: WatchedLog) {
  if (log.problem) return {}
  const late = setTimeout(timeoutMs, undefined, { ref: false })
  const known = <T>(asked: Promise<T>) => Promise.race([asked.catch(() => undefined), late])
  const [groups, head, entries] = await Promise.all([known(log.listGroups()), known(log.head()), known(count(log))])
  return { groups, offsets: head === undefined ? undefined : offsetsOf(head, log.partitions), entries }
}

async function count(log: WatchedLog) {
  const entries = { dead: 0, parked: 0, delayed: 0 }
  let seen = 0
  for await (const { state } of log.listDeferred()) {
    entries[state]++
    if (++seen === maxEntries) break
  }
  return entries
}
