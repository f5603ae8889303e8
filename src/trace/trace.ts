import type { CloudEvent } from '../event.ts'
import { TidingsError } from '../errors.ts'
import type { Bus } from '../bus/bus.ts'
import type { Position } from '../bus/driver.ts'
import { originOf, Replays, type ReplayTerms } from '../tasks/effects.ts'
import { turnType } from '../tasks/turn.ts'
import { arrange } from './arrange.ts'
import { eventsAt, withData } from './index/events.ts'
import type { Trace } from './tree.ts'

/** The trace of everything that shares a correlation, from where it lies on the log. @throws E_NOT_FOUND */
export async function traceOf(bus: Bus, correlation: string, positions: readonly Position[]): Promise<Trace> {
  const stored = await eventsAt(bus, positions)
  if (stored.length === 0) throw new TidingsError('E_NOT_FOUND', `no event of correlation ${correlation} is on the log`)
  const events = (await withData(bus, stored, isNeeded)).map(({ event }) => event)
  return { ...arrange(events), replays: await replaysOf(bus, events) }
}

/** What the tree is made from must be at hand; other large data may stay in its blob. */
const isNeeded = ({ type }: CloudEvent) => type === turnType || type === 'model.result' || type.endsWith('.failed')

async function replaysOf(bus: Bus, events: readonly CloudEvent[]): Promise<Map<string, string>> {
  const replays = new Replays(bus)
  const correlations = new Map<string, string>()
  for (const { replay, correlationid } of events)
    if (replay !== undefined && !correlations.has(replay)) correlations.set(replay, correlationid)
  const told = [...correlations].map(
    async ([mark, correlation]) => [mark, replayText(mark, correlation, await replays.terms(mark))] as const,
  )
  return new Map(await Promise.all(told))
}

/** `redrive of CORRELATION`, `fork of TASK@VERSION`; of what nobody wrote down, its mark. */
function replayText(mark: string, correlation: string, terms: ReplayTerms | undefined): string {
  if (!terms) return mark
  const { kind, of } = terms
  if ('task' in of) return `${kind} of ${of.task}@${of.version}`
  return `${kind} of ${'correlation' in of ? of.correlation : originOf(terms, mark, correlation)}`
}
