import { randomUUIDv7 } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { correlationFrom, isCorrelation, mintedAt } from '../bus/ids.ts'
import { contextOf } from '../bus/telemetry/tracing.ts'
import { isTenant, type Draft } from '../event.ts'
import type { TapCall } from './recorder.ts'

/** Names the correlation of a request: a UUID, or any text that stands for one. */
const correlationHeader = 'x-tidings-correlation'

/** The headers that say for whom a request is made. */
export interface OriginHeaders {
  readonly userHeader?: string | undefined
  readonly tenantHeader?: string | undefined
}

/** To what a call belongs, and for whom it is made. */
export type CallOrigin = Pick<TapCall, 'correlationid' | 'tenant' | 'user' | 'traceparent' | 'secrets'>

const maxUser = 256

/** From the headers of a request. `fallback`: the correlation of a request that has neither a header for it nor a trace context. */
export function requestOrigin(
  headers: IncomingHttpHeaders,
  { userHeader, tenantHeader, tenant: fixed }: OriginHeaders & { readonly tenant?: string | undefined },
  fallback: () => string = randomUUIDv7,
): CallOrigin {
  const user = valueOf(headers, userHeader)?.slice(0, maxUser)
  const tenant = valueOf(headers, tenantHeader)?.toLowerCase() ?? fixed
  const named = valueOf(headers, correlationHeader)
  const traced = correlatedBy(valueOf(headers, 'traceparent'))
  return {
    correlationid: (named && correlationNamed(named, tenant)) ?? traced?.correlationid ?? fallback(),
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
  const uuid = context.traceId.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
  return {
    traceparent: traceparent!,
    correlationid: claimsTime(uuid) ? `${uuid.slice(0, 14)}8${uuid.slice(15)}` : uuid,
  }
}

const firstMintedAt = Date.UTC(2020)
const dayMs = 24 * 3_600_000

/** Whether a random id has by chance the form of one that was minted at a time, which readers would believe. */
function claimsTime(uuid: string): boolean {
  const at = mintedAt(uuid)
  return at !== undefined && (at < firstMintedAt || at > Date.now() + dayMs)
}

/** The same text of two tenants is two correlations. */
const correlationNamed = (name: string, tenant = '') =>
  isCorrelation(name.toLowerCase())
    ? name.toLowerCase()
    : correlationFrom([correlationHeader, ...(tenant ? [tenant] : []), name].join('\0'))

function valueOf(headers: IncomingHttpHeaders, name: string | undefined): string | undefined {
  const value = name === undefined ? undefined : headers[name.toLowerCase()]
  return (Array.isArray(value) ? value[0] : value)?.trim() || undefined
}
