import type { Bus } from '../../bus/bus.ts'
import { correlationAt } from '../../bus/ids.ts'
import { publishFromOutside } from '../../bus/ingress.ts'
import type { ScheduleFired } from '../../received.ts'
import type { Firing } from './plan.ts'

/** The event to publish when a schedule is due. */
export interface ScheduledEvent {
  readonly type: string
  /** Instead of the default, {@link ScheduleFired}. */
  readonly data?: unknown
}

/** A schedule and what it publishes. */
interface NamedSchedule {
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
  if (mayBeRepeated && (await bus.get(id, correlationAt(due, id)))) return
  await publish(bus, schedule, id, due, { schedule: name, due: moment, ...(missed && { missed }) })
}

export async function publishSample(bus: Bus, schedule: NamedSchedule, request: { id: string }, now: number) {
  const { name } = schedule
  const id = `schedule:${name}:sample:${request.id}`
  await publish(bus, schedule, id, now, { schedule: name, due: new Date(now).toISOString(), sample: true })
}

async function publish(bus: Bus, { name, event }: NamedSchedule, id: string, at: number, fired: ScheduleFired) {
  const draft = {
    id,
    type: event.type,
    source: `/triggers/${name}`,
    subject: fired.sample ? 'sample' : fired.due,
    correlationid: correlationAt(at, id),
    data: event.data === undefined ? fired : event.data,
  }
  await publishFromOutside(bus, { name: `fire ${name}`, at }, [draft])
}
