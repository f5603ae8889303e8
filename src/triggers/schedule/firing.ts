import type { Bus } from '../../bus/bus.ts'
import { correlationAt } from '../../bus/ids.ts'
import { traceparentFor, ingressSpan } from '../../bus/telemetry/spans.ts'
import { inSpan } from '../../bus/telemetry/tracing.ts'
import type { ScheduleFired } from '../../received.ts'
import type { Firing } from './plan.ts'

/** What is published when a schedule is due. */
export interface ScheduledEvent {
  readonly type: string
  /** In place of what the runtime says of the firing. */
  readonly data?: unknown
}

/**
 * Publishes a firing. Id and correlation follow from schedule and due moment: whoever fires it, it is one event, and where a
 * broker has forgotten ids and stores it twice, what it starts is one task. `isUnsure`: it may have been fired long ago.
 */
export async function publishFiring(
  bus: Bus,
  name: string,
  message: ScheduledEvent,
  { due, missed }: Firing,
  isUnsure: boolean,
) {
  const moment = new Date(due).toISOString().replace('.000Z', 'Z')
  const id = `schedule:${name}:${moment}`
  const correlationid = correlationAt(due, id)
  if (isUnsure && (await bus.get(id, correlationid))) return
  const said: ScheduleFired = { schedule: name, due: moment, ...(missed && { missed }) }
  await publish(bus, name, message, { id, correlationid, at: due }, said)
}

/** A firing that somebody asked for, to see whether it arrives. */
export async function publishSample(
  bus: Bus,
  name: string,
  message: ScheduledEvent,
  asked: { id: string },
  now: number,
) {
  const said: ScheduleFired = { schedule: name, due: new Date(now).toISOString(), sample: true }
  const id = `schedule:${name}:sample:${asked.id}`
  await publish(bus, name, message, { id, correlationid: correlationAt(now, id), at: now }, said)
}

interface Place {
  id: string
  correlationid: string
  at: number
}

async function publish(bus: Bus, name: string, { type, data }: ScheduledEvent, place: Place, said: ScheduleFired) {
  const { id, correlationid, at } = place
  const draft = {
    id,
    type,
    source: `/triggers/${name}`,
    subject: said.sample ? 'sample' : said.due,
    correlationid,
    data: data === undefined ? said : data,
  }
  await inSpan(
    bus.redactor,
    () => ingressSpan({ name: `fire ${name}`, correlation: correlationid, at, attributes: {} }),
    span => bus.publish({ ...draft, ...traceparentFor(span) }),
  )
}
