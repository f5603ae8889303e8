import type { CloudEvent } from '../../event.ts'
import type { ErrorData } from '../../errors.ts'
import type { Delivery, DeliveryOutcome } from '../driver.ts'
import { log } from './log.ts'
import { metrics } from './metrics.ts'
import { recordOutcome } from './outcomes.ts'
import { TurnSpan, type TracedTask, type TurnTraceOptions } from './turn-span.ts'

/** Why a task failed, as the event that says so was published: redacted when it was emitted. */
function reasonIn(events: readonly CloudEvent[]) {
  const failed = events.findLast(({ type }) => type === 'agent.task.failed')
  const error = (failed?.data as { error?: ErrorData } | null | undefined)?.error
  if (!error) return {}
  const { code, message, stack } = error
  return { code, reason: message, ...(stack !== undefined && { stack }) }
}

/** Keeps how one turn of a task went: in the metrics, and as a span where there is an SDK. */
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

  /** What the turn emits, with the contexts of its spans, where there are any. */
  emitted(events: readonly CloudEvent[]): readonly CloudEvent[] {
    return this.#span?.emitted(events) ?? events
  }

  /** The turn is on the log. */
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
