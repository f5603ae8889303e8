import type { CloudEvent, Draft } from '../event.ts'
import { isRuntimeType } from '../bus/admit.ts'
import type { Bus } from '../bus/bus.ts'
import { counterpart, isTaskDerivedId } from '../bus/ids.ts'
import { matchesType } from '../pattern.ts'
import type { ReplayOrigin } from '../tasks/effects.ts'
import { forkType } from '../tasks/fork.ts'
import type { ResolvedEffects } from './effects.ts'
import { newReplayRun, storeEffectPolicy, type ReplayRun } from './replay-run.ts'
import { readSelection, type Selection } from './selection.ts'

const batchEvents = 1_000

/** Which part of a log is redriven: a task has one start, and is forked from there. */
export type InputSelection = Exclude<Selection, { task: string } | { all: true }>

/**
 * What a selection had from outside, in the order of the log. Of a time, only what came then, and not what a redrive or a fork
 * brought.
 * @param types patterns, of which one must match; none: all
 */
export async function selectInputs(
  bus: Bus,
  selection: InputSelection,
  types: readonly string[] = [],
): Promise<CloudEvent[]> {
  const inputs: CloudEvent[] = []
  const isMeant = matchesSelection(selection)
  for await (const { event } of readSelection(bus, selection)) {
    if (!isFromOutside(event) || !isMeant(event)) continue
    if (types.length > 0 && !types.some(pattern => matchesType(pattern, event.type))) continue
    inputs.push(event)
  }
  return inputs
}

/** A redrive, and where each correlation is repeated: under its `counterpart`. */
export interface Redriven extends ReplayRun {
  counterpart(correlation: string): string
}

/**
 * Publishes the inputs of a selection again, in the same order. All of them are one redrive: instances of workflows that are fed by
 * several correlations are fed by the counterparts of these.
 */
export async function publishRedrive(
  bus: Bus,
  selection: InputSelection,
  inputs: readonly CloudEvent[],
  ruled: ResolvedEffects,
): Promise<Redriven> {
  const marked = newReplayRun('redrive')
  await storeEffectPolicy(bus, marked, originIn(selection, inputs[0]?.replay), ruled)
  for (let i = 0; i < inputs.length; i += batchEvents) {
    const part = inputs.slice(i, i + batchEvents)
    await bus.publishAll(await Promise.all(part.map(async event => toDraft(await bus.resolve(event), marked))))
  }
  return { ...marked, counterpart: correlation => counterpart(correlation, marked.id) }
}

function originIn(selection: InputSelection, replay: string | undefined): ReplayOrigin {
  if ('correlation' in selection) return { ...selection, ...(replay !== undefined && { replay }) }
  const { since, until } = selection
  return { since: timeOf(since), ...(until !== undefined && { until: timeOf(until) }) }
}

const timeOf = (ms: number) => new Date(ms).toISOString()

function toDraft(
  { id, type, source, subject, tenant, user, target, correlationid, data }: CloudEvent,
  marked: ReplayRun,
): Draft {
  return {
    type,
    source,
    tenant,
    data,
    correlationid: counterpart(correlationid, marked.id),
    causationid: id,
    replay: marked.replay,
    ...(subject !== undefined && { subject }),
    ...(user !== undefined && { user }),
    ...(target !== undefined && { target }),
  }
}

// What a task or another program made of something comes again when that something does.
const isFromOutside = ({ id, type, hops }: CloudEvent) =>
  hops === 0 &&
  !isTaskDerivedId(id) &&
  type !== forkType &&
  (type === 'agent.invoke' || type.startsWith('schedule.') || !type.includes('.') || !isRuntimeType(type))

function matchesSelection(selection: InputSelection): (event: CloudEvent) => boolean {
  if ('correlation' in selection) return () => true
  const { since, until = Infinity } = selection
  return ({ time, replay }) => replay === undefined && Date.parse(time) >= since && Date.parse(time) <= until
}
