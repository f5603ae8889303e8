import { createEvent, inheritedAttributes, type CloudEvent } from '../event.ts'
import { resultId } from './ids.ts'

/** The answer to a request: addressed to whoever asked, under an id that only the first answer gets. */
export function answerTo(request: CloudEvent, source: string, type: string, data: unknown): CloudEvent {
  return createEvent({
    id: resultId(request.id),
    type,
    source,
    ...inheritedAttributes(request),
    causationid: request.id,
    call: request.id,
    hops: request.hops,
    ...(request.replyto !== undefined && { target: request.replyto }),
    data,
  })
}
