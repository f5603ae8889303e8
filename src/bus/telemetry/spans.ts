import { SpanKind, type Attributes, type Span, type SpanContext } from '@opentelemetry/api'
import type { CloudEvent } from '../../event.ts'
import type { Delivery } from '../driver.ts'
import type { Redactor } from '../redact.ts'
import { attribute, operation } from './names.ts'
import {
  activeContext,
  contextOf,
  recordFailure,
  isTracing,
  startSpan,
  traceparentOf,
  type SpanDraft,
} from './tracing.ts'

/*
 * The exported trace has the shape of `tidings trace`. A published event is a span, a child of its publisher, and passes its context to
 * its receivers. A task is a child of its start event. An answer has no span, because it belongs to its request. Turns, deliveries,
 * tools, models and ingresses add levels but no branches.
 */

export function eventAttributes(event: CloudEvent): Attributes {
  return {
    [attribute.correlation]: event.correlationid,
    [attribute.tenant]: event.tenant,
    ...(event.replay !== undefined && { [attribute.replay]: event.replay }),
  }
}

const messageAttributes = (event: CloudEvent, system: string, what: string): Attributes => ({
  [attribute.messagingSystem]: system,
  [attribute.messagingOperation]: what,
  [attribute.destination]: event.type,
  [attribute.messageId]: event.id,
  [attribute.messageConversation]: event.correlationid,
  ...eventAttributes(event),
})

/** The span of a publish, whose context the event carries. */
export function publishSpan(event: CloudEvent, system: string, parent: SpanContext | undefined, startTime?: number) {
  return startSpan({
    name: `publish ${event.type}`,
    kind: SpanKind.PRODUCER,
    parent,
    correlation: event.correlationid,
    attributes: {
      ...messageAttributes(event, system, operation.send),
      ...(event.target !== undefined && { [attribute.target]: event.target }),
    },
    ...(startTime !== undefined && { startTime }),
  })
}

/** The log and the redaction rules of a span. */
interface Publisher {
  readonly system: string
  readonly redactor: Redactor
}

/** Publishes events outside of a task, each with the context of its span, a child of its caller. */
export function tracePublish<T>(
  { system, redactor }: Publisher,
  events: readonly CloudEvent[],
  publish: (events: readonly CloudEvent[]) => Promise<T>,
): Promise<T> {
  return isTracing() ? publishTraced({ system, redactor }, events, publish) : publish(events)
}

async function publishTraced<T>(
  { system, redactor }: Publisher,
  events: readonly CloudEvent[],
  publish: (events: readonly CloudEvent[]) => Promise<T>,
): Promise<T> {
  const spans: Span[] = []
  const stamped = events.map(event => {
    const span = publishSpan(event, system, contextOf(event.traceparent) ?? activeContext())!
    spans.push(span)
    return { ...event, traceparent: traceparentOf(span.spanContext()) }
  })
  try {
    return await publish(stamped)
  } catch (error) {
    for (const span of spans) recordFailure(redactor, span, error, 'E_LOG_UNAVAILABLE')
    throw error
  } finally {
    for (const span of spans) span.end()
  }
}

/** The `traceparent` for an event that is published in a span; without a span, that of its cause. */
export function traceparentFor(
  span: Span | undefined,
  cause: { traceparent?: string | undefined } = {},
): { traceparent?: string } {
  const traceparent = span ? traceparentOf(span.spanContext()) : cause.traceparent
  return traceparent === undefined ? {} : { traceparent }
}

export function deliverySpan({ event, group, attempt, since }: Delivery, system: string): SpanDraft {
  return {
    name: `process ${event.type}`,
    kind: SpanKind.CONSUMER,
    parent: contextOf(event.traceparent),
    correlation: event.correlationid,
    attributes: {
      ...messageAttributes(event, system, operation.process),
      [attribute.consumerGroup]: group,
      [attribute.attempt]: attempt,
      [attribute.queueTime]: Math.max(0, Date.now() - since) / 1_000,
    },
  }
}

export function toolSpan(tool: string, event: CloudEvent, delivery: Span | undefined): SpanDraft {
  return {
    name: `${operation.executeTool} ${tool}`,
    parent: delivery?.spanContext(),
    correlation: event.correlationid,
    attributes: {
      [attribute.genAiOperation]: operation.executeTool,
      [attribute.toolName]: tool,
      [attribute.toolType]: 'function',
      [attribute.toolCallId]: event.id,
      ...eventAttributes(event),
    },
  }
}

/** One run of an inline step, a child of the turn that asked for it. */
export function stepSpan(step: string, event: CloudEvent): SpanDraft {
  return {
    name: `step ${step}`,
    parent: contextOf(event.traceparent),
    correlation: event.correlationid,
    attributes: eventAttributes(event),
  }
}

/** One step of a model, a child of the delivery. `provider`: the name in the model object. */
export function modelSpan(model: string, provider: string, event: CloudEvent, delivery: Span | undefined): SpanDraft {
  return {
    name: `${operation.chat} ${model}`,
    kind: SpanKind.CLIENT,
    parent: delivery?.spanContext(),
    correlation: event.correlationid,
    attributes: {
      [attribute.genAiOperation]: operation.chat,
      [attribute.provider]: provider,
      [attribute.requestModel]: model,
      [attribute.conversation]: event.correlationid,
      ...eventAttributes(event),
    },
  }
}

/** An incoming request or message. The events that it publishes are children of its span. */
interface IngressRequest {
  name: string
  correlation: string
  /** The `traceparent` of the request. */
  caller?: string | undefined
  /** When it arrived, ms since the epoch. */
  at: number
  attributes: Attributes
}

export function ingressSpan({ name, correlation, caller, at, attributes }: IngressRequest): SpanDraft {
  return {
    name,
    kind: SpanKind.SERVER,
    parent: contextOf(caller) ?? activeContext(),
    correlation,
    attributes: { ...attributes, [attribute.correlation]: correlation },
    startTime: at,
  }
}
