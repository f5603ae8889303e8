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

/* Spans, if an OpenTelemetry SDK is registered. Otherwise `tracer` is undefined and no span or attribute is created. */

export interface SpanDraft {
  name: string
  kind?: SpanKind
  attributes: Attributes
  /** Undefined: the trace begins here. */
  parent: SpanContext | undefined
  /** Gives a new trace its id. */
  correlation: string
  links?: readonly SpanContext[]
  /** Ms since the epoch. Default: now. */
  startTime?: number
  spanId?: string
}

let tracer: Tracer | undefined
let idsAreOurs = false

/** Detects a registered SDK. Called when a bus is created, not for every span. */
export function detectSdk(): void {
  const before = tracer
  const provider = trace.getTracerProvider()
  tracer =
    'getDelegateTracer' in provider
      ? (provider as { getDelegateTracer(name: string): Tracer | undefined }).getDelegateTracer('tidings')
      : provider.getTracer('tidings')
  if (tracer && tracer !== before) idsAreOurs = probe().spanId === spanIdOf('')
}

/** Whether the SDK uses our id generator. */
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
 * Runs work in a span. Spans that the work starts with the OpenTelemetry API are its children. `draft` is only called if there is an SDK.
 * `code` is used for errors that are not ours. Error texts are redacted.
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

/** Parses a `traceparent`. Undefined if it is absent or invalid. */
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

/** The active span of the caller, by the OpenTelemetry API. */
export const activeContext = () => trace.getSpanContext(context.active())

export const flagsFor = (correlation: string): TraceFlags => probe(correlation).traceFlags

/** Starts a span that is never ended, and so never exported, to see what the SDK does. */
function probe(correlation = ''): SpanContext {
  const asked = { name: 'probe', attributes: {}, parent: undefined, correlation, spanId: spanIdOf('') }
  return startSpan(asked)!.spanContext()
}
