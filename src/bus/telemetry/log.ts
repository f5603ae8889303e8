import type { CloudEvent } from '../../event.ts'
import { parseId } from '../ids.ts'
import { contextOf } from './tracing.ts'

type Write = (fields: object, text: string) => void

/** Disabled levels are undefined, so that `log.debug?.({ … }, '…')` costs almost nothing. */
export interface Logger {
  error?: Write
  warn?: Write
  info?: Write
  debug?: Write
}

/** The structured log of this process. Silent until `setLogger` is called. */
export const log: Logger = {}

export function setLogger({ error, warn, info, debug }: Logger): void {
  Object.assign(log, { error, warn, info, debug })
}

/** The fields by which log lines about an event are found: its ids and those of its trace. */
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
