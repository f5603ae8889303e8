import { createEvent, inheritedAttributes, type CloudEvent } from '../event.ts'
import { resultId } from './ids.ts'

/** The answer to a request, addressed to its caller. Its id is the same for all answers, so only the first one is stored. */
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
