import type { ErrorData } from '../errors.ts'
import { createEvent, inheritedAttributes, type CloudEvent, type Draft } from '../event.ts'
import type { Bus } from './bus.ts'
import type { HandlerResult } from './delivery.ts'
import { resultId } from './ids.ts'
import { answerTimes, type Retries } from './retries.ts'

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

/** The answer to a `KIND.invoke` that failed. */
export const failureAnswer = (request: CloudEvent, source: string, error: ErrorData, retries?: Retries): CloudEvent =>
  answerTo(request, source, request.type.replace('.invoke', '.failed'), { error, ...(retries && answerTimes(retries)) })

/** Ends a delivery with these events. */
export const doneWith = async (bus: Bus, ...events: CloudEvent[]): Promise<HandlerResult> => ({
  outcome: { kind: 'done' },
  events: await bus.encodeAll(events),
})

/** A signal about a request that is being handled, addressed to its caller. */
export const signalAbout = (request: CloudEvent, source: string, type: string, data: unknown): Draft => ({
  type,
  source,
  ...inheritedAttributes(request),
  subject: request.id,
  ...(request.replyto !== undefined && { target: request.replyto }),
  data,
})
