import { textOf } from '../errors.ts'
import { createEvent, type CloudEvent } from '../event.ts'
import { checkEvent } from './decode.ts'
import { isCorrelation } from './ids.ts'
import { reason, type Reason } from './reason.ts'

/*
 * Other programs can write anything to a broker, and disks fail. An entry that is not a valid event is discarded to the attention list
 * when it is delivered, and readers skip it.
 */

const maxShown = 1_000
const texts = ['id', 'source', 'type', 'time', 'tenant'] as const

/** Parses a stored event and checks the attributes that all readers rely on. Undefined if it is not an event. */
export function eventFrom(json: string): CloudEvent | undefined {
  try {
    const event = JSON.parse(json) as Partial<CloudEvent> | null
    const isEvent =
      typeof event?.hops === 'number' &&
      isCorrelation(event.correlationid) &&
      texts.every(name => typeof event[name] === 'string')
    return isEvent ? (event as CloudEvent) : undefined
  } catch {
    return undefined
  }
}

/** What is known about a delivery independently of its text. */
export interface DeliverySource {
  readonly id?: string
  readonly correlationid?: string
  /** Where a person can find the entry. */
  readonly at: object
}

/** The event of a delivery. If the text is not a valid event: a placeholder and the problem. */
export function readDelivery(json: string, whereabouts: () => DeliverySource): { event: CloudEvent; problem?: Reason } {
  try {
    return { event: checkEvent(JSON.parse(json)) }
  } catch (error) {
    return { event: malformedEvent(json, whereabouts()), problem: reason('E_EVENT_INVALID', textOf(error)) }
  }
}

/** A placeholder that describes an entry that is not an event. */
export function malformedEvent(text: string, { at, ...known }: DeliverySource): CloudEvent {
  const data = { ...at, text: String(text).slice(0, maxShown).toWellFormed() }
  return createEvent({ ...known, type: 'control.malformed', source: '/bus', data })
}
