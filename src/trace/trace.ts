import type { CloudEvent } from '../event.ts'
import { TidingsError } from '../errors.ts'
import type { Bus } from '../bus/bus.ts'
import type { Position } from '../bus/driver.ts'
import { originalCorrelation, EffectPolicies, type EffectPolicy } from '../tasks/effects.ts'
import { routedType } from '../bus/routed.ts'
import { KeyedWorkflows } from '../tasks/links.ts'
import { turnType } from '../tasks/turn.ts'
import { arrange } from './arrange.ts'
import { eventsAt, withData } from './index/events.ts'
import type { Trace } from './tree.ts'

/** A trace has so many linked correlations at most: an instance may have been fed by thousands, and may feed others. */
const maxLinked = 100

type PositionsOf = (correlation: string) => readonly Position[]

/**
 * The trace of everything that shares a correlation, from where it lies on the log, with the instances of workflows that it fed.
 * @throws E_NOT_FOUND
 */
export async function traceOf(bus: Bus, correlation: string, positionsOf: PositionsOf): Promise<Trace> {
  const events = await eventsOf(bus, positionsOf(correlation))
  if (events.length === 0) throw new TidingsError('E_NOT_FOUND', `no event of correlation ${correlation} is on the log`)
  const all = [...events, ...(await linkedEvents(bus, events, positionsOf))]
  return { ...arrange(all), replays: await replaysOf(bus, all) }
}

async function eventsOf(bus: Bus, positions: readonly Position[]): Promise<CloudEvent[]> {
  return (await withData(bus, await eventsAt(bus, positions), isNeeded)).map(({ event }) => event)
}

/** What the instances did that these events fed, and the instances that those fed, without what others fed them. */
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
      // What the instance emitted because of them is its own; that they came late is not.
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

/** What the tree is made from must be at hand; other large data may stay in its blob. */
const isNeeded = ({ type }: CloudEvent) =>
  type === turnType || type === routedType || type === 'model.result' || type.endsWith('.failed')

async function replaysOf(bus: Bus, events: readonly CloudEvent[]): Promise<Map<string, string>> {
  const replays = new EffectPolicies(bus)
  const correlations = new Map<string, string>()
  for (const { replay, correlationid } of events)
    if (replay !== undefined && !correlations.has(replay)) correlations.set(replay, correlationid)
  const told = [...correlations].map(
    async ([mark, correlation]) => [mark, replayText(mark, correlation, await replays.get(mark))] as const,
  )
  return new Map(await Promise.all(told))
}

/** `redrive of CORRELATION`, `fork of TASK@VERSION`; of what nobody wrote down, its mark. */
function replayText(mark: string, correlation: string, terms: EffectPolicy | undefined): string {
  if (!terms) return mark
  const { kind, of } = terms
  if ('task' in of) return `${kind} of ${of.task}@${of.version}`
  return `${kind} of ${'correlation' in of ? of.correlation : originalCorrelation(terms, mark, correlation)}`
}
