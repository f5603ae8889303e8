import { textOf } from '../errors.ts'
import { createEvent, type CloudEvent } from '../event.ts'
import { checkEvent } from './decode.ts'
import { isCorrelation } from './ids.ts'
import { reason, type Reason } from './reason.ts'

/*
 * Whoever can write to a log can write anything, and disks rot. What is no event goes to the attention list when it is handed out,
 * and readers pass over it.
 */

const maxShown = 1_000
const texts = ['id', 'source', 'type', 'time', 'tenant'] as const

/** The event that a text on the log is, as far as every reader relies on its form; undefined for what is none. */
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

/** What is known of a delivery, whatever its text is. */
export interface DeliverySource {
  readonly id?: string
  readonly correlationid?: string
  /** Where a person finds it. */
  readonly at: object
}

/** The event that is handed out; where the text is none, one that stands for it, and why it is none. */
export function readDelivery(json: string, whereabouts: () => DeliverySource): { event: CloudEvent; problem?: Reason } {
  try {
    return { event: checkEvent(JSON.parse(json)) }
  } catch (error) {
    return { event: malformedEvent(json, whereabouts()), problem: reason('E_EVENT_INVALID', textOf(error)) }
  }
}

/** An event that says what lies there in place of one. */
export function malformedEvent(text: string, { at, ...known }: DeliverySource): CloudEvent {
  const data = { ...at, text: String(text).slice(0, maxShown).toWellFormed() }
  return createEvent({ ...known, type: 'control.malformed', source: '/bus', data })
}
