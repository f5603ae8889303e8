import type { CloudEvent } from '../event.ts'
import type { Bus } from '../bus/bus.ts'
import type { DeliveryOutcome } from '../bus/driver.ts'
import { log } from '../bus/telemetry/log.ts'
import type { SharedDelivery } from './inbox.ts'
import { routedDraft } from './instances.ts'
import type { ProgramDefinition } from './program.ts'
import { outcomeForError } from './rules.ts'

/** Who takes an event to send it on, among those who take it. */
export const routeRecipient = ({ name }: ProgramDefinition) => `route/${name}`

/** Publishes an event once more for the instances that it belongs to, in whatever shard they live. */
export async function forwardToInstances(
  bus: Bus,
  event: CloudEvent,
  programs: readonly ProgramDefinition[],
  shared: SharedDelivery,
): Promise<void> {
  const whole = bus.resolve(event)
  for (const program of programs) {
    let outcome: DeliveryOutcome = { kind: 'done' }
    try {
      const draft = routedDraft(program, await whole)
      if (draft) await bus.publish(draft)
      else
        log.warn?.({ event: event.id, workflow: program.name }, `${event.type} has no key, and belongs to no instance`)
    } catch (error) {
      outcome = outcomeForError(error, routeRecipient(program), { event, shared })
    }
    shared.acknowledge(routeRecipient(program), false, outcome)
  }
}
