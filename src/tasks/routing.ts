import type { CloudEvent } from '../event.ts'
import type { Bus } from '../bus/bus.ts'
import type { DeliveryOutcome } from '../bus/driver.ts'
import { log } from '../bus/telemetry/log.ts'
import type { SharedDelivery } from './inbox.ts'
import { routedDraft } from './instances.ts'
import type { ProgramDefinition } from './program.ts'
import { outcomeForError, refusal } from './rules.ts'

/** The name under which forwarding an event acknowledges its delivery. */
export const routeRecipient = ({ name }: ProgramDefinition) => `route/${name}`

/** Publishes an event as `workflow.event` for each keyed instance that it belongs to, which may live in another shard. */
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
      const refused = refusal(program, await whole)
      const draft = refused ? undefined : routedDraft(program, await whole)
      if (refused) outcome = refused
      else if (draft) await bus.publish(draft)
      else
        log.warn?.(
          { event: event.id, workflow: program.name },
          `${event.type} has no value for the key of the workflow, so no instance receives it`,
        )
    } catch (error) {
      outcome = outcomeForError(error, routeRecipient(program), shared.delivery)
    }
    shared.acknowledge(routeRecipient(program), outcome)
  }
}
