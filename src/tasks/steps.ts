import { AsyncLocalStorage } from 'node:async_hooks'
import { failureData, TidingsError, toTidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import { jsonOf } from '../json.ts'
import { aDuration, aFlag, aTimeout, checkOptions, type Check } from '../options.ts'
import { settledOrAborted, workerStopped } from '../bus/abort.ts'
import { answerTo, doneWith, failureAnswer } from '../bus/answer.ts'
import type { Bus } from '../bus/bus.ts'
import type { Now } from '../bus/clock.ts'
import { backoff, isStillAwaited, type HandlerResult } from '../bus/delivery.ts'
import { LogErrors } from '../bus/log-errors.ts'
import { pausedOutcome, type Pauses } from '../bus/pauses.ts'
import { reason, reasonOf, type Reason } from '../bus/reason.ts'
import { delay, answerTimes, retriesOf, undelayedDeliveries } from '../bus/retries.ts'
import { traceStep } from '../bus/telemetry/work.ts'
import { maxStarts } from '../bus/workers.ts'
import { milliseconds, type Duration, type Timeout } from './duration.ts'
import { claimStart, firstResult, idempotencyKeyOf } from './earlier-result.ts'
import type { SharedDelivery } from './inbox.ts'
import { aRetry, RetryPolicy, type RetryOptions } from './retry.ts'
import { RunningCalls } from './running-calls.ts'
import type { Task } from './task.ts'

/*
 * Inline steps: code of a `run(ctx, input)` agent whose result is recorded. A step is a call of the agent to itself. Only the sharded
 * group of the agents takes the request, so the owner of the task's shard gets it, after the turn that asked is on the log, and the
 * next owner gets it after a crash. The function is found in the task, which the owner has in memory or restores:
 *
 *     turn ──▶ step.invoke ──▶ the owner of the shard ──▶ the open call's function ──▶ step.result ──▶ next turn
 *                                        ▲                         │
 *                                        └── the owner died, or a retry is due ──┘
 */

/** What the function of a step gets. */
export interface StepContext {
  /** Aborts on timeout, when the task no longer waits for the step, and when the worker stops. */
  readonly signal: AbortSignal
  /** The same for every attempt of the step. Pass it to services that can deduplicate by it. */
  readonly idempotencyKey: string
  /** The number of this delivery of the step, from 1. */
  readonly attempt: number
}

/** How one step is limited and retried. */
export interface StepOptions {
  /** How to retry after an error or timeout. Default: no retry, `run()` gets the first failure. Ignored with `atMostOnce`. */
  retry?: RetryOptions
  /** Maximum time of one run. Default one minute. */
  timeout?: Duration
  /** Never starts twice. After a crash while it runs, the step fails with E_TOOL_OUTCOME_UNKNOWN. */
  atMostOnce?: boolean
  /** Maximum wait for the result, over all attempts. Default one day. */
  within?: Timeout
}

const checks = {
  retry: aRetry,
  timeout: aDuration,
  atMostOnce: aFlag,
  within: aTimeout,
} satisfies Record<keyof StepOptions, Check>

/** A step that a task in memory waits for. */
export interface InlineStep {
  readonly name: string
  readonly options: StepOptions
  readonly run: (context: StepContext) => unknown
}

/** @throws E_APP_INVALID */
export function stepOf(name: string, run: InlineStep['run'], options: StepOptions): InlineStep {
  if (typeof name !== 'string' || name === '' || name.length > maxName)
    throw new TidingsError('E_APP_INVALID', `the name of a step must be a text of 1 to ${maxName} characters`)
  if (typeof run !== 'function')
    throw new TidingsError('E_APP_INVALID', `ctx.step("${name}", …) needs a function, which does the work of the step`)
  checkOptions(`step "${name}"`, options, checks, [])
  return { name, run, options }
}

const maxName = 100
const defaultTimeout = '1m'
/** Of the steps in this process: as many as it runs of one tool. As many wait; more are delivered again later. */
const maxRunning = 256

const inStep = new AsyncLocalStorage<string>()

/** Runs code of an agent, which is not in a step, whatever called the engine. */
export const outsideSteps = <T>(work: () => T): T => inStep.run('', work)

/** @throws E_STEP_CONTEXT if the code that uses `ctx` runs in a step */
export function assertOutsideSteps(): void {
  const step = inStep.getStore()
  if (step) throw new TidingsError('E_STEP_CONTEXT', `the step "${step}" uses ctx, which only run() itself may use`)
}

/** A step that this process has received and not answered yet. */
interface HeldStep {
  readonly task: string
  readonly program: string
  readonly source: string
  readonly step: InlineStep | undefined
  readonly event: CloudEvent
  shared: SharedDelivery
}

/** Runs the inline steps of the tasks whose shards this process owns. */
export class StepRunner {
  readonly #bus: Bus
  readonly #pauses: Pauses
  readonly #runningCalls: RunningCalls
  /** Errors of the log that were thrown while a step ran. */
  readonly #logErrors = new LogErrors()
  readonly #abandoned = new AbortController()
  /** By call. */
  readonly #held = new Map<string, HeldStep>()
  readonly #processing = new Set<Promise<void>>()
  readonly #waiting: (() => void)[] = []
  #running = 0
  #isStopping = false

  constructor({ bus, pauses }: { bus: Bus; pauses: Pauses }) {
    this.#bus = bus
    this.#pauses = pauses
    this.#runningCalls = new RunningCalls(bus, this.#abandoned.signal)
  }

  start(): void {
    this.#runningCalls.start()
  }

  /** Runs a step that `task` waits for. */
  run({ identity, machine, open }: Task, event: CloudEvent, shared: SharedDelivery): void {
    const { id } = event
    const { task, program, source } = identity
    if (this.#pauses.has('agent', program)) return shared.acknowledge(task, pausedOutcome('agent', program))
    const held = this.#held.get(id)
    if (held) return void (held.shared = shared)
    if (this.#held.size >= 2 * maxRunning) return void shared.answer(task, postponed(shared, this.#bus.now))
    const step = machine.step?.(open.get(id)?.as ?? id)
    const added: HeldStep = { task, program, source, step, event, shared }
    this.#held.set(id, added)
    const processing = this.#process(added)
    this.#processing.add(processing)
    void processing.finally(() => this.#processing.delete(processing))
  }

  /** Another process owns the shards of these tasks now, and runs their steps again. */
  forget(isLost: (task: string) => boolean): void {
    for (const [call, { task }] of this.#held) {
      if (!isLost(task)) continue
      this.#held.delete(call)
      this.#runningCalls.abort(
        call,
        new TidingsError('E_TASK_MOVED', 'another worker owns the task now, and runs the step'),
      )
    }
  }

  /** Starts no more steps and waits for those that run, until `abort` fires. */
  async drain(abort?: AbortSignal): Promise<void> {
    this.#isStopping = true
    for (const start of this.#waiting.splice(0)) start()
    await settledOrAborted(Promise.all(this.#processing), abort)
  }

  /** Aborts the steps that still run. Their next owner runs them again. */
  abandon(): void {
    this.#held.clear()
    this.#abandoned.abort(workerStopped())
    this.#runningCalls.stop()
  }

  async #process(held: HeldStep): Promise<void> {
    await this.#slot()
    try {
      if (this.#isStopping || !this.#isHeld(held)) return
      const result = await this.#attempt(held)
      if (this.#isHeld(held)) await held.shared.answer(held.task, result)
    } finally {
      if (this.#isHeld(held)) this.#held.delete(held.event.id)
      const next = this.#waiting.shift()
      if (next) next()
      else this.#running--
    }
  }

  /** Resolves when the step may run. A step that ends passes its slot on. */
  async #slot(): Promise<void> {
    if (this.#running >= maxRunning) return new Promise(resolve => this.#waiting.push(resolve))
    this.#running++
  }

  #isHeld(held: HeldStep): boolean {
    return this.#held.get(held.event.id) === held
  }

  async #attempt(held: HeldStep): Promise<HandlerResult> {
    const { shared } = held
    try {
      return await this.#serve(held)
    } catch (error) {
      // Not a failure of the step: the log is unavailable.
      return deliveredAgain(shared, reasonOf(toTidingsError(error, 'E_INTERNAL')))
    }
  }

  /** @throws if the log is unavailable */
  async #serve(held: HeldStep): Promise<HandlerResult> {
    const bus = this.#bus
    const { event, program, source, step } = held
    const { delivery } = held.shared
    const retries = retriesOf(delivery, bus.now)
    try {
      const starts = undelayedDeliveries(delivery)
      if (starts > maxStarts)
        throw new TidingsError('E_WORKER_LOST', `it was started ${starts - 1} times, and its worker died each time`)
      if (!(await this.#logErrors.from(isStillAwaited(bus, delivery)))) return { outcome: { kind: 'done' } }
      if (!step) throw new TidingsError('E_PROGRAM_MISMATCH', `the code of "${program}" no longer has this step`)
      const output = await this.#output(held, step)
      const answer = answerTo(event, source, 'step.result', { output, ...answerTimes(retries) })
      return await this.#logErrors.from(doneWith(bus, answer))
    } catch (error) {
      const problem = toTidingsError(error, 'E_TOOL_THREW')
      if (this.#logErrors.has(problem)) throw problem
      const failed = { ...retries, failures: retries.failures + 1 }
      const isRetryable = problem.code === 'E_TOOL_THREW' || problem.code === 'E_TOOL_TIMEOUT'
      const retry = isRetryable && step ? policyOf(step)?.next(event, failed, error) : undefined
      if (retry?.after !== undefined)
        return delay(bus, event, { source, retries: failed, after: retry.after, error: problem })
      return doneWith(bus, failureAnswer(event, source, failureData(problem, 'E_TOOL_THREW'), retries))
    }
  }

  /** The recorded result of the step if a retry of the task repeats it, else that of running it. */
  async #output({ event, program, source, shared }: HeldStep, { name, options, run }: InlineStep): Promise<unknown> {
    const bus = this.#bus
    const { delivery } = shared
    const known =
      (await this.#logErrors.from(firstResult(bus, event))) ??
      (options.atMostOnce &&
        (await this.#logErrors.from(claimStart(bus, delivery, { event, kind: 'step', name, source }))))
    if (known) return known.output
    const traced = { name, label: program, event, attempt: delivery.attempt, redactor: bus.redactor }
    return traceStep(traced, async () => {
      using running = this.#runningCalls.add(event.id, milliseconds(options.timeout ?? defaultTimeout), name)
      const { signal } = running
      const context = { signal, idempotencyKey: idempotencyKeyOf(event), attempt: delivery.attempt }
      const returned = await running.race(inStep.run(name, async () => run(context)))
      return jsonOf(returned, `the step "${name}" returned a value that is not JSON`, 'E_TOOL_OUTPUT')
    })
  }
}

const policyOf = ({ options: { retry, atMostOnce } }: InlineStep) =>
  retry && !atMostOnce ? new RetryPolicy(retry) : undefined

/** Too many steps wait in this process, so this one does not take room from the answers to other tasks. */
function postponed({ delivery }: SharedDelivery, now: Now): HandlerResult {
  const { failures, holds, since } = retriesOf(delivery, now)
  const memo = `${failures} ${holds + 1} ${Math.round(since)}`
  const busy = reason('E_BUSY', 'too many steps run in this process')
  return { outcome: { kind: 'retry', after: backoff(holds + 1), reason: busy, memo } }
}

function deliveredAgain({ delivery }: SharedDelivery, why: Reason): HandlerResult {
  const { memo } = delivery
  const after = backoff(undelayedDeliveries(delivery))
  return { outcome: { kind: 'retry', after, reason: why, ...(memo !== undefined && { memo }) } }
}
