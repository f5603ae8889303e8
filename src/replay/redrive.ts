import type { CloudEvent, Draft } from '../event.ts'
import { belongsToRuntime } from '../bus/admit.ts'
import type { Bus } from '../bus/bus.ts'
import { isReservedId } from '../bus/ids.ts'
import { matchesType } from '../pattern.ts'
import { forkType } from '../tasks/fork.ts'
import type { Ruled } from './effects.ts'
import { newMark, putTerms, type Marked } from './mark.ts'
import { select, type Selection } from './selection.ts'

const batch = 1_000

/** What came from outside under one correlation, in the order of the log. */
export interface Inputs {
  readonly correlation: string
  readonly events: readonly CloudEvent[]
}

/**
 * What a selection had from outside. Of a time, only what came then, and not what a redrive or a fork brought.
 * @param types patterns, of which one must match; none: all
 */
export async function inputsOf(
  bus: Bus,
  selection: Exclude<Selection, { task: string }>,
  types: readonly string[] = [],
): Promise<Inputs[]> {
  const found = new Map<string, CloudEvent[]>()
  const isMeant = meant(selection)
  for await (const { event } of select(bus, selection)) {
    if (!isFromOutside(event) || !isMeant(event)) continue
    if (types.length > 0 && !types.some(pattern => matchesType(pattern, event.type))) continue
    const events = found.get(event.correlationid)
    if (events) events.push(event)
    else found.set(event.correlationid, [event])
  }
  return [...found].map(([correlation, events]) => ({ correlation, events }))
}

/** Publishes them again, under a correlation of their own. */
export async function redrive(bus: Bus, { correlation, events }: Inputs, ruled: Ruled): Promise<Marked> {
  const marked = newMark('redrive')
  await putTerms(bus, marked, { correlation }, ruled)
  const drafts = await Promise.all(events.map(async event => again(await bus.resolve(event), marked)))
  for (let i = 0; i < drafts.length; i += batch) await bus.publishAll(drafts.slice(i, i + batch))
  return marked
}

function again(
  { id, type, source, subject, tenant, user, target, data }: CloudEvent,
  { correlation, mark }: Marked,
): Draft {
  return {
    type,
    source,
    tenant,
    data,
    correlationid: correlation,
    causationid: id,
    replay: mark,
    ...(subject !== undefined && { subject }),
    ...(user !== undefined && { user }),
    ...(target !== undefined && { target }),
  }
}

// What a task or another program made of something comes again when that something does.
const isFromOutside = ({ id, type, hops }: CloudEvent) =>
  hops === 0 &&
  !isReservedId(id) &&
  type !== forkType &&
  (type === 'agent.invoke' || type.startsWith('schedule.') || !type.includes('.') || !belongsToRuntime(type))

function meant(selection: Selection): (event: CloudEvent) => boolean {
  if (!('since' in selection)) return event => 'correlation' in selection || event.replay === undefined
  const { since, until = Infinity } = selection
  return ({ time, replay }) => replay === undefined && Date.parse(time) >= since && Date.parse(time) <= until
}
