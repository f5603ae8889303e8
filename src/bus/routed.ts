import type { CloudEvent } from '../event.ts'

/*
 * An event that is sent on to an instance of a workflow lies in another one, which may not need more room than it does: where its
 * data is large, the envelope within names the same blob as the event itself.
 */

export const routedType = 'workflow.event'

/** Data of `workflow.event`: what happened elsewhere. */
export interface RoutedData {
  readonly event: CloudEvent
}

/** What happened elsewhere; undefined where a `workflow.event`, which has its data, does not say so. */
export function routedEventIn({ subject, data }: CloudEvent): CloudEvent | undefined {
  const event = (data as Partial<RoutedData> | null)?.event as Partial<CloudEvent> | null | undefined
  return typeof event?.id === 'string' && typeof event.type === 'string' && event.type === subject
    ? (event as CloudEvent)
    : undefined
}

/** What a `workflow.event` carries, of its own tenant: nobody reads blobs of another one through it. */
export function carriedEvent(event: CloudEvent): CloudEvent | undefined {
  const carried = event.type === routedType ? routedEventIn(event) : undefined
  return carried?.tenant === event.tenant ? carried : undefined
}

/** Whether data of the event lies in a blob: its own, or that of what it carries. */
export const hasBlobData = (event: CloudEvent): boolean =>
  event.dataref !== undefined || carriedEvent(event)?.dataref !== undefined
