import type { Attributes } from '@opentelemetry/api'
import type { Draft } from '../event.ts'
import type { Bus, PublishedEvent } from './bus.ts'
import { ingressSpan, traceparentFor } from './telemetry/spans.ts'
import { contextOf, inSpan } from './telemetry/tracing.ts'

/** The tenant of events from outside. */
export const defaultTenant = 'default'

/** What brought events from outside: a request, a message, a due time. */
export interface Ingress {
  /** Of its span: `receive mail`. */
  readonly name: string
  /** When it arrived, ms since the epoch. */
  readonly at: number
  /** The `traceparent` that it carries. */
  readonly caller?: string | undefined
  readonly attributes?: Attributes
}

/** Publishes events from outside, all or none, as children of the span of what brought them. */
export function publishFromOutside(
  bus: Bus,
  { caller, attributes = {}, ...ingress }: Ingress,
  drafts: readonly (Draft & { correlationid: string })[],
): Promise<PublishedEvent[]> {
  const traceparent = contextOf(caller) && caller
  const correlation = drafts[0]!.correlationid
  return inSpan(
    bus.redactor,
    () => ingressSpan({ ...ingress, caller, correlation, attributes }),
    span => bus.publishAll(drafts.map(draft => ({ ...traceparentFor(span, { traceparent }), ...draft }))),
  )
}
