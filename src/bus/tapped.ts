import type { CloudEvent } from '../event.ts'

/*
 * Calls that a tap saw pass between two programs. They look like other calls on the log, but nobody on the log may take them: their target
 * begins with `tap:`, which no worker can host, because names have no colon. The `subject` is the model, the tool or the route.
 */

const prefix = 'tap:'

export const tapTarget = (tap: string): string => `${prefix}${tap}`
export const tapSource = (tap: string): string => `/taps/${tap}`

/** Whether a tap recorded this request, which nobody on the log is asked. */
export const isTapped = ({ target }: Pick<CloudEvent, 'target'>): boolean => target?.startsWith(prefix) ?? false

/** The name of a recorded model, tool or route; undefined for a request that is not tapped. */
export const tappedName = (event: Pick<CloudEvent, 'target' | 'subject'>): string | undefined =>
  isTapped(event) ? (event.subject ?? event.target) : undefined

/** What an event is addressed to, for people: the model, tool or route of a tapped request, not the tap. */
export const shownTarget = (event: Pick<CloudEvent, 'target' | 'subject'>): string | undefined =>
  tappedName(event) ?? event.target

/** The requests that taps record. */
export const tappedTypes = ['model.invoke', 'tool.invoke', 'http.request'] as const
/** The type of a request that a tap records. */
export type TappedType = (typeof tappedTypes)[number]

/** The type of the answer that reports that a tapped call failed. An HTTP response has one type only. */
export const failureType = (type: TappedType): string =>
  type === 'http.request' ? 'http.response' : type.replace('.invoke', '.failed')

/** A tap could not record a number of calls: the log says itself what it lacks. */
export const tapGapType = 'tap.gap'

/** Data of `tap.gap`. */
export interface TapGap {
  /** Number of calls that were forwarded and are not on the log. */
  readonly calls: number
  /** RFC 3339: when the first of them and the last of them passed. */
  readonly since: string
  readonly until: string
  /** Why they could not be recorded. */
  readonly reason: string
}
