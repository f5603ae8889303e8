import { setTimeout } from 'node:timers/promises'
import type { Bus } from '../bus/bus.ts'
import { offsetsOf, stepBack } from '../bus/cursor.ts'
import type { Cursor } from '../bus/driver.ts'
import { readByTime } from '../bus/read-by-time.ts'
import type { CloudEvent } from '../event.ts'
import { environment, shownLog } from '../runtime/environment.ts'
import { listDeliveriesAndWakes } from '../trace/attention/list.ts'
import { findUnavailable } from '../models/unavailable.ts'
import { Rates } from '../trace/rates.ts'
import { terminalWidth } from './event-line.ts'
import { withExistingLog } from './log.ts'
import { print, shutdownSignal, type GlobalOptions } from './output.ts'
import { Screen } from './screen.ts'
import { drawDashboard, type Dashboard } from './dashboard.ts'

interface TopOptions extends GlobalOptions {
  once?: boolean
}

/** Events to read from the past, so that the first screen is not empty. */
const maxEventsBack = 20_000
const refreshIntervalMs = 1_000
/** The attention list may be long, so it is counted less often. */
const refreshesPerCount = 5
const pipeRows = 100

export async function topCommand({ json, once }: TopOptions): Promise<void> {
  const shutdown = shutdownSignal()
  await withExistingLog(async bus => {
    const { rates, head } = await readRecent(bus)
    const printDashboard = (dashboard: Dashboard) => {
      const lines = () => [...drawDashboard(dashboard, terminalWidth(), pipeRows), '']
      return print(json ? JSON.stringify(dashboard) : lines().join('\n'))
    }
    if (once) return printDashboard(await dashboardNow(bus, rates, await countAttention(bus)))
    const stop = new AbortController()
    const signal = AbortSignal.any([shutdown, stop.signal])
    using screen = process.stdout.isTTY && !json ? new Screen(process.stdout) : undefined
    const show = (dashboard: Dashboard) =>
      screen ? screen.draw((width, rows) => drawDashboard(dashboard, width, rows)) : printDashboard(dashboard)
    try {
      await Promise.all([follow(bus, rates, head, signal), refreshUntil(bus, rates, signal, show)])
    } finally {
      stop.abort()
    }
  })
}

/** The rates of the last minute, and the cursor to follow from. */
async function readRecent(bus: Bus): Promise<{ rates: Rates; head: Cursor }> {
  const head = await bus.head()
  const after = stepBack(head, maxEventsBack)
  const recent: CloudEvent[] = []
  const minuteAgo = Date.now() - 60_000
  // Of each partition that is not read from its beginning: the time from which on all its events are counted.
  const starts: (number | undefined)[] = offsetsOf(after, bus.partitions).map(offset => (offset === 0 ? 0 : undefined))
  for await (const { position, event } of readByTime(bus, { after, until: head })) {
    const at = Date.parse(event.time)
    starts[position.partition] ??= at
    if (at >= minuteAgo) recent.push(event)
  }
  const rates = new Rates(Math.max(...starts.map(start => start ?? 0)))
  for (const event of recent) rates.add(await withUsage(bus, event), Math.min(Date.now(), Date.parse(event.time)))
  return { rates, head }
}

async function follow(bus: Bus, rates: Rates, after: Cursor, signal: AbortSignal): Promise<void> {
  for await (const { event } of bus.follow(after, undefined, signal)) rates.add(await withUsage(bus, event), Date.now())
}

/** The usage of a model is in the data, which may be a blob. */
async function withUsage(bus: Bus, event: CloudEvent): Promise<CloudEvent> {
  return event.type === 'model.result' ? bus.resolve(event).catch(() => event) : event
}

async function refreshUntil(
  bus: Bus,
  rates: Rates,
  signal: AbortSignal,
  show: (dashboard: Dashboard) => Promise<void> | void,
): Promise<void> {
  let attention = 0
  for (let n = 0; !signal.aborted; n++) {
    const begin = performance.now()
    if (n % refreshesPerCount === 0) attention = await countAttention(bus)
    await show(await dashboardNow(bus, rates, attention))
    const rest = refreshIntervalMs - (performance.now() - begin)
    // Aborting the signal rejects the wait.
    await setTimeout(Math.max(0, rest), undefined, { signal }).catch(() => {})
  }
}

async function dashboardNow(bus: Bus, rates: Rates, attention: number): Promise<Dashboard> {
  const groups = await bus.listGroups()
  const now = Date.now()
  const log = `${bus.name} in ${shownLog(environment())}`
  const resting = await findUnavailable(bus, groups)
  return { log, time: new Date(now).toISOString(), groups, activity: rates.activity(now), resting, attention }
}

const countAttention = async (bus: Bus) => (await Array.fromAsync(listDeliveriesAndWakes(bus), () => 1)).length
