import { SpanStatusCode, type Span, type SpanContext } from '@opentelemetry/api'
import type { CloudEvent } from '../../event.ts'
import { attribute, operation } from './names.ts'
import { spanIdOf, traceIdOf } from './ids.ts'
import { eventAttributes, publishSpan } from './spans.ts'
import { usesOurIds, contextOf, flagsFor, isTracing, startSpan, traceparentOf } from './tracing.ts'

/** The fields of a task that its spans contain. */
export interface TracedTask {
  readonly task: string
  readonly program: string
  readonly programVersion: number
  readonly programHash: string
  readonly start: CloudEvent
}

export interface TurnTraceOptions {
  /** The name of the log. */
  readonly system: string
  readonly traced: TracedTask
  readonly version: number
  readonly inputs: readonly CloudEvent[]
  /** When the inputs became available, ms since the epoch. Empty for a turn that a timer began. */
  readonly since: readonly number[]
}

/**
 * The span of one turn and its events. Its parent is the span of the task, which is created when the task ends. The id of
 * that span is derived from the task id, so every process knows it before.
 */
export class TurnSpan {
  readonly #traced: TracedTask
  readonly #system: string
  readonly #span: Span
  readonly #publishes: Span[] = []
  #isAccepted = false

  /** Undefined without an SDK. */
  static begin(options: TurnTraceOptions) {
    return isTracing() ? new TurnSpan(options) : undefined
  }

  private constructor({ system, traced, version, inputs, since }: TurnTraceOptions) {
    const now = Date.now()
    this.#traced = traced
    this.#system = system
    this.#span = startSpan({
      name: `decide ${traced.program}`,
      parent: taskContext(traced),
      correlation: traced.start.correlationid,
      links: inputs.map(input => contextOf(input.traceparent)).filter(found => found !== undefined),
      attributes: {
        [attribute.turn]: version,
        [attribute.turnInputs]: inputs.length,
        [attribute.queueTime]: (now - Math.min(now, ...since)) / 1_000,
        [attribute.messagingSystem]: system,
        ...taskAttributes(traced),
      },
    })!
  }

  /** Returns the events with the contexts of their spans. Answers and cancellations keep the context of the request. */
  emitted(events: readonly CloudEvent[]): CloudEvent[] {
    // If the turn could not be recorded, only the events that fail the task are published.
    this.#publishes.length = 0
    return events.map(event => {
      if (belongsToRequest(event)) return event
      const span = publishSpan(event, this.#system, this.#span.spanContext())!
      this.#publishes.push(span)
      return { ...event, traceparent: traceparentOf(span.spanContext()) }
    })
  }

  /** Called when the turn is on the log. `end`: how the task ended with it. */
  accepted(end: string | undefined): void {
    this.#isAccepted = true
    this.#span.setAttribute(attribute.turnEmits, this.#publishes.length)
    for (const span of this.#publishes) span.end()
    if (end !== undefined) endTask(this.#traced, end)
  }

  end(): void {
    if (!this.#isAccepted) this.#span.setStatus({ code: SpanStatusCode.ERROR, message: 'the turn was not accepted' })
    this.#span.end()
  }
}

function endTask(traced: TracedTask, end: string) {
  const { task, program, start } = traced
  const span = startSpan({
    name: `${operation.invokeAgent} ${program}`,
    parent: contextOf(start.traceparent),
    correlation: start.correlationid,
    startTime: Date.parse(start.time),
    spanId: spanIdOf(task),
    attributes: {
      [attribute.genAiOperation]: operation.invokeAgent,
      [attribute.agentName]: program,
      [attribute.agentVersion]: String(traced.programVersion),
      [attribute.conversation]: start.correlationid,
      [attribute.taskEnd]: end,
      ...taskAttributes(traced),
    },
  })!
  if (end === 'failed') span.setStatus({ code: SpanStatusCode.ERROR })
  span.end()
}

const taskAttributes = ({ task, program, programVersion, programHash, start }: TracedTask) => ({
  [attribute.task]: task,
  [attribute.program]: program,
  [attribute.programVersion]: programVersion,
  [attribute.programHash]: programHash,
  ...eventAttributes(start),
})

function taskContext({ task, start }: TracedTask): SpanContext | undefined {
  const above = contextOf(start.traceparent)
  if (!usesOurIds()) return above
  return {
    traceId: above?.traceId ?? traceIdOf(start.correlationid),
    spanId: spanIdOf(task),
    traceFlags: above?.traceFlags ?? flagsFor(start.correlationid),
    isRemote: true,
  }
}

// In `tidings trace` these are lines of their request, not branches. A continuation has a call but is a branch.
const belongsToRequest = ({ id, type, call }: CloudEvent) =>
  id.endsWith(':cancel') || (call !== undefined && type !== 'agent.invoke')
