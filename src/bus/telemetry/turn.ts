import type { CloudEvent } from '../../event.ts'
import type { ErrorData } from '../../errors.ts'
import type { Delivery, DeliveryOutcome } from '../driver.ts'
import { log } from './log.ts'
import { metrics } from './metrics.ts'
import { recordOutcome } from './outcomes.ts'
import { TurnSpan, type TracedTask, type TurnTraceOptions } from './turn-span.ts'

/** The error in the event that reported the failure of the task. It was redacted when it was emitted. */
function reasonIn(events: readonly CloudEvent[]) {
  const failed = events.findLast(({ type }) => type === 'agent.task.failed')
  const error = (failed?.data as { error?: ErrorData } | null | undefined)?.error
  if (!error) return {}
  const { code, message, stack } = error
  return { code, reason: message, ...(stack !== undefined && { stack }) }
}

/** Records one turn of a task in the metrics, and as a span if there is an SDK. */
export class TurnTrace implements Disposable {
  readonly #traced: TracedTask
  readonly #version: number
  readonly #began = performance.now()
  readonly #span: TurnSpan | undefined

  constructor(options: TurnTraceOptions) {
    this.#traced = options.traced
    this.#version = options.version
    this.#span = TurnSpan.begin(options)
  }

  /** Returns the events that the turn emits, with the contexts of their spans, if there are any. */
  emitted(events: readonly CloudEvent[]): readonly CloudEvent[] {
    return this.#span?.emitted(events) ?? events
  }

  /** Called when the turn is on the log. */
  accepted(
    events: readonly CloudEvent[],
    settling: readonly { delivery: Delivery; outcome: DeliveryOutcome }[],
    end: string | undefined,
  ): void {
    const { task, program, start } = this.#traced
    metrics.decideTime.record((performance.now() - this.#began) / 1_000, program)
    metrics.published.add(1, 'task.turn')
    for (const { type } of events) metrics.published.add(1, type)
    const now = Date.now()
    for (const { delivery, outcome } of settling) {
      metrics.queueTime.record(Math.max(0, now - delivery.since) / 1_000, delivery.group)
      recordOutcome(delivery, outcome, [])
    }
    if (this.#version === 1) metrics.tasksStarted.add(1, program)
    if (end !== undefined) {
      metrics.tasksEnded.add(1, program, end)
      const write = end === 'failed' ? log.warn : log.debug
      write?.({ correlationid: start.correlationid, task, program, end, ...reasonIn(events) }, `task ${end}`)
    }
    this.#span?.accepted(end)
  }

  [Symbol.dispose]() {
    this.#span?.end()
  }
}
