import type { CloudEvent } from '../event.ts'
import { notOnLog } from '../errors.ts'
import type { Bus } from '../bus/bus.ts'
import type { Position } from '../bus/driver.ts'
import { originalCorrelation, EffectPolicies, type EffectPolicy } from '../tasks/effects.ts'
import { routedType } from '../bus/routed.ts'
import { KeyedWorkflows } from '../tasks/links.ts'
import { turnType } from '../tasks/turn.ts'
import { buildTraceTree } from './build-tree.ts'
import { eventsAt, withData } from './index/events.ts'
import type { Trace } from './tree.ts'

/** Maximum number of linked correlations: an instance may receive events of thousands. */
const maxLinked = 100

type PositionsOf = (correlation: string) => readonly Position[]

/** The trace of a correlation, including the workflow instances that its events were routed to. @throws E_NOT_FOUND */
export async function traceOf(bus: Bus, correlation: string, positionsOf: PositionsOf): Promise<Trace> {
  const events = await eventsOf(bus, positionsOf(correlation))
  if (events.length === 0) throw notOnLog(`no event of correlation ${correlation} is on the log`)
  const all = [...events, ...(await linkedEvents(bus, events, positionsOf))]
  return { ...buildTraceTree(all), replays: await replaysOf(bus, all) }
}

async function eventsOf(bus: Bus, positions: readonly Position[]): Promise<CloudEvent[]> {
  return (await withData(bus, await eventsAt(bus, positions), needsData)).map(({ event }) => event)
}

/** Events of the instances that these events were routed to, transitively, without events routed from other correlations. */
async function linkedEvents(bus: Bus, events: readonly CloudEvent[], positionsOf: PositionsOf): Promise<CloudEvent[]> {
  const workflows = await KeyedWorkflows.read(bus)
  const found: CloudEvent[] = []
  const ids = new Set(events.map(({ id }) => id))
  const seen = new Set(events.map(({ correlationid }) => correlationid))
  let next = events
  while (next.length > 0) {
    const fed = new Set<string>()
    for (const event of next)
      if (workflows.matches(event.type))
        for (const instance of workflows.fedBy(await bus.resolve(event).catch(() => event)))
          if (!seen.has(instance) && seen.size <= maxLinked) {
            seen.add(instance)
            fed.add(instance)
          }
    const parts = []
    for (const instance of fed) {
      const part = await eventsOf(bus, positionsOf(instance))
      const foreign = new Set<string>()
      for (const { id, type, causationid } of part) if (type === routedType && !ids.has(causationid!)) foreign.add(id)
      // Reports of late events from other correlations are not part of this trace either.
      const isForeign = ({ id, type, causationid }: CloudEvent) =>
        foreign.has(id) || (type === 'workflow.late' && foreign.has(causationid!))
      const own = part.filter(event => !isForeign(event))
      if (own.some(({ type }) => type === routedType)) parts.push(own)
    }
    next = parts.flat()
    for (const { id } of next) ids.add(id)
    found.push(...next)
  }
  return found
}

/** Whether a tree needs the data of an event. Other large data stays in its blob. */
export const needsData = ({ type }: CloudEvent) =>
  type === turnType || type === routedType || type === 'model.result' || type.endsWith('.failed')

async function replaysOf(bus: Bus, events: readonly CloudEvent[]): Promise<Map<string, string>> {
  const replays = new EffectPolicies(bus)
  const correlations = new Map<string, string>()
  for (const { replay, correlationid } of events)
    if (replay !== undefined && !correlations.has(replay)) correlations.set(replay, correlationid)
  const texts = [...correlations].map(
    async ([replay, correlation]) => [replay, replayText(replay, correlation, await replays.get(replay))] as const,
  )
  return new Map(await Promise.all(texts))
}

/** `redrive of CORRELATION` or `fork of TASK@VERSION`; without a stored policy, the id of the replay. */
function replayText(replay: string, correlation: string, terms: EffectPolicy | undefined): string {
  if (!terms) return replay
  const { kind, of } = terms
  if ('task' in of) return `${kind} of ${of.task}@${of.version}`
  return `${kind} of ${'correlation' in of ? of.correlation : originalCorrelation(terms, replay, correlation)}`
}
