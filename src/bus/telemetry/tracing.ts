import {
  context,
  isSpanContextValid,
  ROOT_CONTEXT,
  SpanStatusCode,
  trace,
  TraceFlags,
  type Attributes,
  type Span,
  type SpanContext,
  type SpanKind,
  type Tracer,
} from '@opentelemetry/api'
import { type ErrorCode, errorData } from '../../errors.ts'
import type { Redactor } from '../redact.ts'
import { spanIdOf, traceIdOf, withIds } from './ids.ts'
import { attribute } from './names.ts'

/*
 * Spans, where an SDK is registered. Where none is, `tracer` is undefined and nothing is built: no span, no attribute.
 */

export interface SpanDraft {
  name: string
  kind?: SpanKind
  attributes: Attributes
  /** Undefined: the trace begins here. */
  parent: SpanContext | undefined
  /** Where the trace begins here, it gets the id of this correlation. */
  correlation: string
  links?: readonly SpanContext[]
  /** Ms since the epoch; now unless told. */
  startTime?: number
  spanId?: string
}

let tracer: Tracer | undefined
let idsAreOurs = false

/** Looks whether an SDK is registered; asked when a bus is made, not for every span. */
export function detectSdk(): void {
  const before = tracer
  const provider = trace.getTracerProvider()
  tracer =
    'getDelegateTracer' in provider
      ? (provider as { getDelegateTracer(name: string): Tracer | undefined }).getDelegateTracer('tidings')
      : provider.getTracer('tidings')
  if (tracer && tracer !== before) idsAreOurs = probe().spanId === spanIdOf('')
}

/** Whether spans get the ids that are asked for. */
export const usesOurIds = () => idsAreOurs

export const isTracing = () => tracer !== undefined

export function startSpan(draft: SpanDraft): Span | undefined {
  if (!tracer) return undefined
  const { name, kind, attributes, parent, links, startTime, spanId } = draft
  const traced = tracer
  const start = () =>
    traced.startSpan(
      name,
      {
        attributes,
        ...(kind !== undefined && { kind }),
        ...(links && { links: links.map(link => ({ context: link })) }),
        ...(startTime !== undefined && { startTime }),
      },
      parent ? trace.setSpanContext(ROOT_CONTEXT, parent) : ROOT_CONTEXT,
    )
  if (parent && spanId === undefined) return start()
  return withIds({ ...(!parent && { traceId: traceIdOf(draft.correlation) }), ...(spanId && { spanId }) }, start)
}

/**
 * Does the work under a span, which ends with it. What the work starts by the OpenTelemetry API lies below. `draft` is
 * only called where there is an SDK; `code` is that of foreign errors, whose text the span has as `redactor` leaves it.
 */
export function inSpan<T>(
  redactor: Redactor,
  draft: () => SpanDraft,
  work: (span?: Span) => Promise<T>,
  code: ErrorCode = 'E_INTERNAL',
): Promise<T> {
  return tracer ? runInSpan(redactor, startSpan(draft())!, work, code) : work()
}

async function runInSpan<T>(
  redactor: Redactor,
  span: Span,
  work: (span: Span) => Promise<T>,
  code: ErrorCode,
): Promise<T> {
  try {
    return await context.with(trace.setSpan(context.active(), span), () => work(span))
  } catch (error) {
    recordFailure(redactor, span, error, code)
    throw error
  } finally {
    span.end()
  }
}

export function recordFailure(redactor: Redactor, span: Span, error: unknown, foreign: ErrorCode): void {
  const { code, message } = errorData(error, foreign)
  span
    .setAttribute(attribute.errorType, redactor.text(code))
    .setStatus({ code: SpanStatusCode.ERROR, message: redactor.text(`${code}: ${message}`) })
}

const traceparentPattern = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/

/** Reads a `traceparent`; undefined for none, and for one that names nothing. */
export function contextOf(traceparent: string | undefined): SpanContext | undefined {
  const match = traceparent === undefined ? null : traceparentPattern.exec(traceparent)
  if (!match) return undefined
  const flags = Number.parseInt(match[3]!, 16)
  const found = { traceId: match[1]!, spanId: match[2]!, traceFlags: flags & TraceFlags.SAMPLED, isRemote: true }
  return isSpanContextValid(found) ? found : undefined
}

export function traceparentOf({ traceId, spanId, traceFlags }: SpanContext): string {
  return `00-${traceId}-${spanId}-${traceFlags & TraceFlags.SAMPLED ? '01' : '00'}`
}

/** The span in which whoever calls us is, by the OpenTelemetry API. */
export const activeContext = () => trace.getSpanContext(context.active())

/** Whether the sampler takes a trace that begins with this correlation. */
export const flagsFor = (correlation: string): TraceFlags => probe(correlation).traceFlags

/** What an SDK makes of a span; this one is never ended, so that nobody sees it. */
function probe(correlation = ''): SpanContext {
  const asked = { name: 'probe', attributes: {}, parent: undefined, correlation, spanId: spanIdOf('') }
  return startSpan(asked)!.spanContext()
}
