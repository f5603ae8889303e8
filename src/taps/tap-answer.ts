import { resultId } from '../bus/ids.ts'
import type { Draft } from '../event.ts'

/** How a call ended, as it is to be recorded. */
export interface TapAnswer {
  readonly type: string
  readonly data: unknown
}

/** What an answer takes over from its request. */
export type AnsweredCall = Required<Pick<Draft, 'id' | 'source' | 'correlationid'>> &
  Pick<Draft, 'tenant' | 'user' | 'subject' | 'traceparent'>

/** The answer of a recorded call. It has no target, because nobody on the log waits for it. */
export function tapAnswer(call: AnsweredCall, { type, data }: TapAnswer): Draft {
  const { id, source, correlationid, tenant, user, subject, traceparent } = call
  const about = { source, correlationid, call: id, causationid: id, data }
  return {
    id: resultId(id),
    type,
    ...about,
    ...(tenant !== undefined && { tenant }),
    ...(user !== undefined && { user }),
    ...(subject !== undefined && { subject }),
    ...(traceparent !== undefined && { traceparent }),
  }
}
