import type { Bus } from '../../bus/bus.ts'
import { correlationAt } from '../../bus/ids.ts'
import { traceparentFor, ingressSpan } from '../../bus/telemetry/spans.ts'
import { inSpan } from '../../bus/telemetry/tracing.ts'
import type { ScheduleFired } from '../../received.ts'
import type { Firing } from './plan.ts'

/** The event to publish when a schedule is due. */
export interface ScheduledEvent {
  readonly type: string
  /** Instead of the default, {@link ScheduleFired}. */
  readonly data?: unknown
}

/** A schedule and what it publishes. */
export interface NamedSchedule {
  readonly name: string
  readonly event: ScheduledEvent
}

/**
 * Publishes a firing. Id and correlation follow from the schedule and the due time, so that all processes publish one event.
 * If a broker forgets ids and stores it twice, it still starts one task. `mayBeRepeated`: it may have been fired long ago.
 */
export async function publishFiring(
  bus: Bus,
  schedule: NamedSchedule,
  { due, missed }: Firing,
  mayBeRepeated: boolean,
) {
  const { name } = schedule
  const moment = new Date(due).toISOString().replace('.000Z', 'Z')
  const id = `schedule:${name}:${moment}`
  const correlationid = correlationAt(due, id)
  if (mayBeRepeated && (await bus.get(id, correlationid))) return
  const fired: ScheduleFired = { schedule: name, due: moment, ...(missed && { missed }) }
  await publish(bus, schedule, { id, correlationid, at: due }, fired)
}

/** Publishes a sample on request. */
export async function publishSample(bus: Bus, schedule: NamedSchedule, request: { id: string }, now: number) {
  const { name } = schedule
  const fired: ScheduleFired = { schedule: name, due: new Date(now).toISOString(), sample: true }
  const id = `schedule:${name}:sample:${request.id}`
  await publish(bus, schedule, { id, correlationid: correlationAt(now, id), at: now }, fired)
}

interface FiringIds {
  id: string
  correlationid: string
  at: number
}

async function publish(bus: Bus, { name, event: { type, data } }: NamedSchedule, ids: FiringIds, fired: ScheduleFired) {
  const { id, correlationid, at } = ids
  const draft = {
    id,
    type,
    source: `/triggers/${name}`,
    subject: fired.sample ? 'sample' : fired.due,
    correlationid,
    data: data === undefined ? fired : data,
  }
  await inSpan(
    bus.redactor,
    () => ingressSpan({ name: `fire ${name}`, correlation: correlationid, at, attributes: {} }),
    span => bus.publish({ ...draft, ...traceparentFor(span) }),
  )
}
