import type { CloudEvent } from '../../event.ts'
import { parseId } from '../ids.ts'
import { contextOf } from './tracing.ts'

type Write = (fields: object, text: string) => void

/** Levels that are not wanted are undefined: `log.debug?.({ … }, '…')` then costs one look. */
export interface Logger {
  error?: Write
  warn?: Write
  info?: Write
  debug?: Write
}

/** What this process says for machines; nothing before somebody listens. */
export const log: Logger = {}

/** Sends what is said to these, and to nobody else. */
export function setLogger({ error, warn, info, debug }: Logger): void {
  Object.assign(log, { error, warn, info, debug })
}

/** By what a line about an event is found: its ids, and those of its trace. */
export function eventFields(event: CloudEvent) {
  const task = (parseId(event.id) ?? parseId(event.call ?? ''))?.task
  const span = contextOf(event.traceparent)
  return {
    correlationid: event.correlationid,
    event: event.id,
    type: event.type,
    ...(task !== undefined && { task }),
    ...(span && { trace_id: span.traceId, span_id: span.spanId }),
  }
}
