import type { Attributes } from '@opentelemetry/api'
import type { Draft } from '../event.ts'
import type { Bus, PublishedEvent } from './bus.ts'
import { correlationFor } from './ids.ts'
import { ingressSpan, traceparentFor } from './telemetry/spans.ts'
import { contextOf, inSpan } from './telemetry/tracing.ts'

/** What brought events from outside: a request, a message, a due time. */
export interface IngressSource {
  /** Of its span: `receive mail`. */
  readonly name: string
  /** When it arrived, ms since the epoch. */
  readonly at: number
  /** The `traceparent` that it carries. */
  readonly caller?: string | undefined
  readonly attributes?: Attributes
}

/** Publishes events from outside, as `publishAll` does, as children of the span of what brought them. */
export function publishFromOutside(
  bus: Bus,
  { caller, attributes = {}, ...ingress }: IngressSource,
  drafts: readonly Draft[],
): Promise<PublishedEvent[]> {
  const traceparent = contextOf(caller) && caller
  const related = drafts.map(draft => ({ ...draft, correlationid: correlationFor(draft) }))
  const correlation = related[0]!.correlationid
  return inSpan(
    bus.redactor,
    () => ingressSpan({ ...ingress, caller, correlation, attributes }),
    span => bus.publishAll(related.map(draft => ({ ...traceparentFor(span, { traceparent }), ...draft }))),
  )
}
