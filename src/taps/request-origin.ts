import { randomUUIDv7 } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { correlationFrom, isCorrelation } from '../bus/ids.ts'
import { contextOf } from '../bus/telemetry/tracing.ts'
import { isTenant, type Draft } from '../event.ts'
import type { TapCall } from './recorder.ts'

/** Names the correlation of a request: a UUID, or any text that stands for one. */
export const correlationHeader = 'x-tidings-correlation'

/** The headers that say for whom a request is made. */
export interface OriginHeaders {
  readonly userHeader?: string | undefined
  readonly tenantHeader?: string | undefined
}

/** To what a call belongs, and for whom it is made. */
export type CallOrigin = Pick<TapCall, 'correlationid' | 'tenant' | 'user' | 'traceparent'>

const maxUser = 256

/** From the headers of a request. `fallback`: the correlation of a request that has neither a header for it nor a trace context. */
export function requestOrigin(
  headers: IncomingHttpHeaders,
  { userHeader, tenantHeader }: OriginHeaders,
  fallback: () => string = randomUUIDv7,
): CallOrigin {
  const user = valueOf(headers, userHeader)?.slice(0, maxUser)
  const tenant = valueOf(headers, tenantHeader)?.toLowerCase()
  const named = valueOf(headers, correlationHeader)
  const traced = correlatedBy(valueOf(headers, 'traceparent'))
  return {
    correlationid: (named && correlationNamed(named)) ?? traced?.correlationid ?? fallback(),
    ...(traced && { traceparent: traced.traceparent }),
    ...(user && { user }),
    ...(isTenant(tenant) && { tenant }),
  }
}

/**
 * The correlation of a call from its W3C trace context: the trace id, written as a UUID. Spans of Tidings have the correlation as their trace id,
 * so that a call from an agent is found with the agent. Undefined without a valid context.
 */
export function correlatedBy(
  traceparent: string | undefined,
): Required<Pick<Draft, 'traceparent' | 'correlationid'>> | undefined {
  const context = contextOf(traceparent)
  if (!context) return undefined
  const correlationid = context.traceId.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
  return { traceparent: traceparent!, correlationid }
}

const correlationNamed = (name: string) =>
  isCorrelation(name) ? name : correlationFrom(`${correlationHeader}\0${name}`)

function valueOf(headers: IncomingHttpHeaders, name: string | undefined): string | undefined {
  const value = name === undefined ? undefined : headers[name.toLowerCase()]
  return (Array.isArray(value) ? value[0] : value)?.trim() || undefined
}
