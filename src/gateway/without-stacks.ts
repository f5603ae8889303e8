import { withoutStack } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import type { Turn } from '../tasks/program.ts'
import { turnType } from '../tasks/turn.ts'

/** Clients do not see where in the source code an error was thrown. */
export function withoutStacks(event: CloudEvent): CloudEvent {
  if (event.type === turnType) {
    const turn = event.data as Turn | null
    return turn?.inputs ? { ...event, data: { ...turn, inputs: turn.inputs.map(withoutStacks) } } : event
  }
  const data = withoutStack(event.data)
  return data === event.data ? event : { ...event, data }
}
