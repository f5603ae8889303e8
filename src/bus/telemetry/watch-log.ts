import { setTimeout } from 'node:timers/promises'
import { TidingsError } from '../../errors.ts'
import type { Driver } from '../driver.ts'
import { metrics } from './metrics.ts'

const freshMs = 1_000
const patienceMs = 5_000
const mostEntries = 10_000

const watched = new Set<Driver>()
let last: { at: number; done: Promise<void> } | undefined

/** From now on the state of this log is among the metrics. Returns how to end that. */
export function watchLog(driver: Driver): () => void {
  watched.add(driver)
  return () => void watched.delete(driver)
}

/** Brings the gauges up to date; asked again within a second, nothing is asked of the log. */
export function refreshGauges(): Promise<void> {
  const now = Date.now()
  if (!last || now - last.at >= freshMs) last = { at: now, done: refresh() }
  return last.done
}

async function refresh(): Promise<void> {
  const { lag, inFlight, attention, position, logUp } = metrics
  const found = await Promise.allSettled([...watched].map(driver => Promise.race([look(driver), tooLong()])))
  for (const gauge of [lag, inFlight, attention, position, logUp]) gauge.clear()
  if (found.length === 0) return
  logUp.set(found.every(({ status }) => status === 'fulfilled') ? 1 : 0)
  for (const result of found) {
    if (result.status === 'rejected') continue
    const { groups, entries, head } = result.value
    for (const group of groups) {
      lag.set(group.lag, group.group)
      inFlight.set(group.inFlight, group.group)
    }
    for (const [state, count] of Object.entries(entries)) attention.set(count, state)
    position.set(head)
  }
}

async function look(driver: Driver) {
  if (driver.problem) throw driver.problem
  const [groups, head, entries] = await Promise.all([driver.groups(), driver.head(), count(driver)])
  return { groups, head, entries }
}

async function count(driver: Driver) {
  const entries = { dead: 0, parked: 0, delayed: 0 }
  let seen = 0
  for await (const { state } of driver.attention()) {
    entries[state]++
    if (++seen === mostEntries) break
  }
  return entries
}

async function tooLong(): Promise<never> {
  await setTimeout(patienceMs, undefined, { ref: false })
  throw new TidingsError('E_LOG_UNAVAILABLE', `the log did not answer within ${patienceMs} ms`, { retryable: true })
}
