import type { CloudEvent, Draft } from '../event.ts'
import { isRuntimeType } from '../bus/admit.ts'
import type { Bus } from '../bus/bus.ts'
import { counterpart, isTaskDerivedId, redrivenId } from '../bus/ids.ts'
import { matchesType } from '../pattern.ts'
import type { ReplayOrigin } from '../tasks/effects.ts'
import { forkType } from '../tasks/fork.ts'
import { byCommandLine, startReplayRun, type ReplayRun, type ResolvedEffects } from './effects.ts'
import { readSelection, type Selection } from './selection.ts'

const batchEvents = 1_000

/** The part of a log to redrive. A task is not redriven but forked from its first turn. */
export type InputSelection = Exclude<Selection, { task: string } | { all: true }>

/**
 * The events from outside in a selection, in log order. A period excludes events outside of it and events of redrives and forks.
 * @param types patterns; if there are any, one of them must match
 */
export async function selectInputs(
  bus: Bus,
  selection: InputSelection,
  types: readonly string[] = [],
): Promise<CloudEvent[]> {
  const inputs: CloudEvent[] = []
  for await (const { event } of readSelection(bus, selection)) {
    const hasType = types.length === 0 || types.some(pattern => matchesType(pattern, event.type))
    if (hasType && isFromOutside(event) && isSelected(event, selection)) inputs.push(event)
  }
  return inputs
}

/**
 * Publishes the inputs of a selection again, in the same order, as one redrive. So inputs of different correlations that belong to one
 * workflow instance meet again in one new instance. Each correlation is repeated under its `counterpart`.
 */
export async function publishRedrive(
  bus: Bus,
  selection: InputSelection,
  inputs: readonly CloudEvent[],
  ruled: ResolvedEffects,
  origin = byCommandLine,
) {
  const of = originIn(selection, inputs[0]?.replay)
  const run = await startReplayRun(bus, { kind: 'redrive', of, ...ruled }, origin)
  for (let i = 0; i < inputs.length; i += batchEvents) {
    const part = inputs.slice(i, i + batchEvents)
    await bus.publishAll(await Promise.all(part.map(async event => toDraft(await bus.resolve(event), run))))
  }
  return { ...run, counterpart: (correlation: string) => counterpart(correlation, run.id) }
}

function originIn(selection: InputSelection, replay: string | undefined): ReplayOrigin {
  if ('correlation' in selection) return { ...selection, ...(replay !== undefined && { replay }) }
  const { since, until } = selection
  return { since: timeOf(since), ...(until !== undefined && { until: timeOf(until) }) }
}

const timeOf = (ms: number) => new Date(ms).toISOString()

function toDraft(event: CloudEvent, run: ReplayRun): Draft {
  const { id, type, source, subject, tenant, user, target, data } = event
  return {
    id: redrivenId(id, run.id),
    type,
    source,
    tenant,
    data,
    correlationid: counterpart(event.correlationid, run.id),
    causationid: id,
    replay: run.replay,
    ...(subject !== undefined && { subject }),
    ...(user !== undefined && { user }),
    ...(target !== undefined && { target }),
  }
}

// Events that tasks or other programs derived from an input are derived again from its copy.
const isFromOutside = ({ id, type, hops }: CloudEvent) =>
  hops === 0 &&
  !isTaskDerivedId(id) &&
  type !== forkType &&
  (type === 'agent.invoke' || type.startsWith('schedule.') || !type.includes('.') || !isRuntimeType(type))

function isSelected({ time, replay }: CloudEvent, selection: InputSelection): boolean {
  if ('correlation' in selection) return true
  const { since, until = Infinity } = selection
  return replay === undefined && Date.parse(time) >= since && Date.parse(time) <= until
}
