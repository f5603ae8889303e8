import type { CloudEvent } from '../event.ts'
import type { Bus } from '../bus/bus.ts'
import type { StoredEvent } from '../bus/driver.ts'
import { hasBlobData } from '../bus/routed.ts'
import type { Turn } from '../tasks/program.ts'
import { turnType } from '../tasks/turn.ts'

/*
 * On some brokers other events lie between a turn and the events that it emitted. Replay and import need them together, so the
 * reader puts them side by side in bounded memory.
 */

/** Number of events to read ahead for an emitted event before looking it up by id. */
const maxLookahead = 256

export type TurnEvent = CloudEvent<Turn>

/** Whether this is a turn with its data. The data of an old turn may be gone with its blob. */
export function isTurn(event: CloudEvent): event is TurnEvent {
  const { inputs, emits, version } = (event.type === turnType ? (event.data ?? {}) : {}) as Partial<Turn>
  return Array.isArray(inputs) && Array.isArray(emits) && Number.isInteger(version)
}

/** Events with their data in log order, except that the events a turn emitted follow it directly. */
export async function* turnsFirst(bus: Bus, events: AsyncIterable<StoredEvent>): AsyncGenerator<StoredEvent> {
  const rest = events[Symbol.asyncIterator]()
  const ahead: StoredEvent[] = []
  const early = new Set<string>()
  const read = async () => {
    const { done, value } = await rest.next()
    return done ? undefined : value
  }
  /** Removes an event from the stream; undefined if it is not within the lookahead. */
  const take = async (id: string) => {
    const at = ahead.findIndex(({ event }) => event.id === id)
    if (at >= 0) return ahead.splice(at, 1)[0]
    while (ahead.length < maxLookahead) {
      const stored = await read()
      if (!stored || stored.event.id === id) return stored
      ahead.push(stored)
    }
    return undefined
  }
  try {
    for (let next = await read(); next; next = ahead.shift() ?? (await read())) {
      if (early.delete(next.event.id)) continue
      const event = await resolveEvent(bus, next.event)
      yield { ...next, event }
      if (!isTurn(event)) continue
      for (const { id } of event.data.emits) {
        let emitted = await take(id)
        if (!emitted) {
          emitted = await bus.find(id, event.correlationid)
          if (!emitted || emitted.position.offset < next.position.offset) continue
          early.add(id)
        }
        yield { ...emitted, event: await resolveEvent(bus, emitted.event) }
      }
    }
  } finally {
    await rest.return?.()
  }
}

export interface RecordedStep {
  readonly stored: StoredEvent
  readonly emitted: readonly StoredEvent[]
}

/** Groups each turn with the events that it emitted. Expects events in the order of `turnsFirst`. */
export async function* groupByTurn(events: AsyncIterable<StoredEvent>): AsyncGenerator<RecordedStep> {
  let step: { stored: StoredEvent; emitted: StoredEvent[] } | undefined
  let missing = new Set<string>()
  for await (const stored of events) {
    if (step && missing.delete(stored.event.id)) {
      step.emitted.push(stored)
      continue
    }
    if (step) yield step
    step = { stored, emitted: [] }
    missing = new Set(isTurn(stored.event) ? stored.event.data.emits.map(({ id }) => id) : [])
  }
  if (step) yield step
}

/** The event with its data, and a turn with the data of its inputs. An event whose blob is gone keeps its `dataref`. */
export async function resolveEvent(bus: Bus, event: CloudEvent): Promise<CloudEvent> {
  const resolved = await bus.resolveIfStored(event)
  if (!isTurn(resolved) || !resolved.data.inputs.some(hasBlobData)) return resolved
  const inputs = await Promise.all(resolved.data.inputs.map(input => bus.resolveIfStored(input)))
  return { ...resolved, data: { ...resolved.data, inputs } }
}
