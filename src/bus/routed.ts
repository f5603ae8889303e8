import type { CloudEvent } from '../event.ts'

/*
 * A `workflow.event` contains an event that is forwarded to a workflow instance. Large data is not stored twice: the inner event refers to
 * the same blob as the original.
 */

export const routedType = 'workflow.event'

export interface RoutedData {
  readonly event: CloudEvent
}

/** The event inside a `workflow.event` with its data; undefined if the data is invalid. */
export function routedEventIn({ subject, data }: CloudEvent): CloudEvent | undefined {
  const event = (data as Partial<RoutedData> | null)?.event as Partial<CloudEvent> | null | undefined
  return typeof event?.id === 'string' && typeof event.type === 'string' && event.type === subject
    ? (event as CloudEvent)
    : undefined
}

/** The event inside a `workflow.event`, only if it has the same tenant: otherwise blobs of other tenants could be read. */
export function carriedEvent(event: CloudEvent): CloudEvent | undefined {
  const carried = event.type === routedType ? routedEventIn(event) : undefined
  return carried?.tenant === event.tenant ? carried : undefined
}

export const hasBlobData = (event: CloudEvent): boolean =>
  event.dataref !== undefined || carriedEvent(event)?.dataref !== undefined
