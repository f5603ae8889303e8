import type { Span } from '@opentelemetry/api'
import type { CloudEvent } from '../event.ts'
import { failureData, TidingsError, toTidingsError } from '../errors.ts'
import { answerTo, doneWith, failureAnswer, signalAbout } from '../bus/answer.ts'
import type { Bus } from '../bus/bus.ts'
import { backoff, type HandlerResult } from '../bus/delivery.ts'
import type { Delivery } from '../bus/driver.ts'
import { LogErrors } from '../bus/log-errors.ts'
import { SharedKey } from '../bus/shared-key.ts'
import type { Pauses } from '../bus/pauses.ts'
import { reasonOf } from '../bus/reason.ts'
import { delay, answerTimes, retriesOf, type Retries } from '../bus/retries.ts'
import { traceTool } from '../bus/telemetry/work.ts'
import { maxStarts, Workers } from '../bus/workers.ts'
import { type ApprovalAnswer, deniedType, grantedType } from '../tasks/approval.ts'
import { milliseconds } from '../tasks/duration.ts'
import { claimStart, firstResult, idempotencyKeyOf } from '../tasks/earlier-result.ts'
import { retryInRequest, RetryPolicy } from '../tasks/retry.ts'
import { RunningCalls } from '../tasks/running-calls.ts'
import { copyOf } from '../json.ts'
import {
  approvableInput,
  callOf,
  grantedInput,
  approvalHash,
  needsApproval,
  parsedInput,
  approvalRequestFor,
  waitingCallOf,
} from './approval.ts'
import { groupsOf, type ToolGroup } from './groups.ts'
import { runInThread } from './thread.ts'
import { runTool, type AnyTool, type RemoteRuns, type ToolContext } from './tool.ts'

const defaultTimeout = '1m'

export interface ToolStationOptions {
  bus: Bus
  tools: readonly AnyTool[]
  pauses: Pauses
  /** URL of the module whose default export is the app. Threads of blocking tools load it. */
  module?: string
}

/** A call, or the answer to its request for approval, that a tool of this station handles. */
interface HandledCall {
  readonly tool: AnyTool
  readonly event: CloudEvent
  readonly delivery: Delivery
  readonly span: Span | undefined
  readonly answered?: ApprovalAnswered
}

/** Hosts tools: `tool.invoke` → run → `tool.result` or `tool.failed`. */
export class ToolStation {
  readonly #options: ToolStationOptions
  readonly #runningCalls: RunningCalls
  readonly #workers: Workers
  /** Errors of the log that were thrown while a tool ran. */
  readonly #logErrors = new LogErrors()
  readonly #key: SharedKey
  readonly #policies: ReadonlyMap<AnyTool, RetryPolicy>

  constructor(options: ToolStationOptions) {
    this.#options = options
    const retried = options.tools.filter(tool => tool.options.retry && !tool.options.atMostOnce)
    this.#policies = new Map(retried.map(tool => [tool, new RetryPolicy(tool.options.retry!)]))
    this.#workers = new Workers(options.bus, options.pauses)
    this.#runningCalls = new RunningCalls(options.bus, this.#workers.abandoned)
    this.#key = new SharedKey(options.bus, 'approval/key')
  }

  async start(): Promise<void> {
    this.#runningCalls.start()
    const groups = await groupsOf(this.#options.bus, this.#options.tools)
    await Promise.all(groups.map(group => this.#host(group)))
  }

  /** Takes no more calls and waits for the running ones until `abort` fires, then returns the rest to other workers. */
  async stop(abort?: AbortSignal): Promise<void> {
    await this.#workers.stop(abort)
    this.#runningCalls.stop()
  }

  #host({ group, targets, tools, limits: { limit, rate }, passOn }: ToolGroup): Promise<void> {
    return this.#workers.host({
      kind: 'tool',
      group,
      targets,
      type: 'tool.invoke',
      // Even without `approval`: a request from before a deploy may be answered now.
      additionalTypes: [grantedType, deniedType],
      ...(limit !== undefined && { limit }),
      ...(rate && { rate: { count: rate.count, per: milliseconds(rate.per) } }),
      ...(passOn && { passOn }),
      handle: (event, delivery, span) => this.#handle({ tool: tools.get(event.target!)!, event, delivery, span }),
      fail: (event, error) => this.#failureAnswers(event, error),
    })
  }

  async #handle(handled: HandledCall): Promise<HandlerResult> {
    const { event } = handled
    if (event.type === 'tool.invoke') return this.#serve(handled)
    const call = await waitingCallOf(this.#options.bus, event)
    if (!call) return { outcome: { kind: 'done' } }
    const answered = { type: event.type, ...(event.data as ApprovalAnswer | null) }
    return this.#serve({ ...handled, event: call, answered })
  }

  async #serve(handled: HandledCall): Promise<HandlerResult> {
    const { bus } = this.#options
    const { tool, event, delivery } = handled
    const source = `/tools/${tool.name}`
    const retries = retriesOf(delivery, bus.now)
    try {
      const known = await this.#logErrors.from(firstResult(bus, event))
      if (known) return await this.#done(event, known.output, retries)
      const held = await tool.remote?.hold()
      if (held) return await this.#held(event, held, source, retries)
      const prepared = await this.#prepare(handled)
      if ('request' in prepared) return await this.#logErrors.from(doneWith(bus, prepared.request))
      const output = await traceTool(
        { name: tool.name, event, attempt: retries.failures + 1, delivery: handled.span, redactor: bus.redactor },
        span => this.#run({ ...handled, span }, prepared.input),
      )
      return await this.#done(event, output, retries)
    } catch (error) {
      const failure = toTidingsError(error, 'E_TOOL_THREW')
      // Not a failure of the tool: the log is unavailable and the call is redelivered, or another worker has it now.
      if (this.#logErrors.has(failure) || this.#workers.abandoned.aborted) throw failure
      const failed = { ...retries, failures: retries.failures + 1 }
      // What the tool runs on went away during the run, which may be repeated.
      if (tool.remote && failure.retryable && failed.failures < maxStarts)
        return delay(bus, event, { source, retries: failed, after: backoff(failed.failures), error: failure })
      const isRetryable = failure.code === 'E_TOOL_THREW' || failure.code === 'E_TOOL_TIMEOUT'
      const retry = isRetryable ? this.#policy(tool, event)?.next(event, failed, error) : undefined
      if (retry?.after !== undefined)
        return delay(bus, event, { source, retries: failed, after: retry.after, error: failure })
      return doneWith(bus, fail(event, failure, retries))
    }
  }

  /** Ends a delivery whose call cannot start now. */
  async #held(
    event: CloudEvent,
    held: NonNullable<Awaited<ReturnType<RemoteRuns['hold']>>>,
    source: string,
    retries: Retries,
  ): Promise<HandlerResult> {
    const { error } = held
    if ('key' in held) return { outcome: { kind: 'park', key: held.key, reason: reasonOf(error) } }
    const postponed = { ...retries, holds: retries.holds + 1 }
    return delay(this.#options.bus, event, {
      source,
      retries: postponed,
      after: held.after,
      error,
      isSilent: retries.holds > 0,
    })
  }

  #policy(tool: AnyTool, { data }: CloudEvent): RetryPolicy | undefined {
    const own = tool.options.atMostOnce ? undefined : retryInRequest(data)
    return own ? new RetryPolicy({ ...tool.options.retry, ...own }) : this.#policies.get(tool)
  }

  #done(event: CloudEvent, output: unknown, retries: Retries): Promise<HandlerResult> {
    const answer = answerTo(event, `/tools/${event.target}`, 'tool.result', { output, ...answerTimes(retries) })
    return this.#logErrors.from(doneWith(this.#options.bus, answer))
  }

  async #prepare({ tool, event: call, answered }: HandledCall): Promise<{ input: unknown } | { request: CloudEvent }> {
    if (answered?.type === deniedType) throw denied(answered)
    if (answered)
      return { input: await grantedInput(tool, call, answered, await this.#logErrors.from(this.#key.get())) }
    if (tool.options.approval === undefined) return { input: await parsedInput(tool, call) }
    const input = await approvableInput(tool, call)
    if (!needsApproval(tool, input)) return { input }
    const hash = approvalHash(tool, input, await this.#logErrors.from(this.#key.get()))
    return { request: approvalRequestFor(tool, call, input, hash) }
  }

  async #run(handled: HandledCall, input: unknown): Promise<unknown> {
    const { bus, module } = this.#options
    const { tool, event, delivery, span } = handled
    const { options } = tool
    const source = `/tools/${tool.name}`
    // A copy, which the tool may change.
    const own = copyOf(event)
    const repeats = delivery.attempt > 1 || event.retryof !== undefined
    const started = repeats
      ? await this.#logErrors.from(tool.remote?.started(idempotencyKeyOf(event)) ?? Promise.resolve(undefined))
      : undefined
    const known =
      options.atMostOnce && started === undefined
        ? await this.#logErrors.from(claimStart(bus, delivery, { event, kind: 'tool', name: tool.name, source, span }))
        : undefined
    if (known) return known.output
    this.#workers.abandoned.throwIfAborted()
    const timeout = milliseconds(options.timeout ?? defaultTimeout)
    using running = this.#runningCalls.add(event.id, timeout, tool.name)
    const context: ToolContext = {
      signal: running.signal,
      idempotencyKey: idempotencyKeyOf(event),
      attempt: delivery.attempt,
      event: own,
      blob: reference => this.#logErrors.from(bus.getBlob(event.tenant, reference)),
      progress: data => bus.signal(signalAbout(event, source, 'tool.progress', data)),
    }
    if (options.blocking) return await running.race(runInThread(tool, module, input, context))
    const { remote } = tool
    const resumed = started !== undefined && remote && { run: () => remote.resume(started, context) }
    return await running.race(runTool({ ...tool, options: { ...options, ...resumed } }, input, context))
  }

  /** The failure of a call that is given up; for the answer to a request for approval, of the call that it was for. */
  async #failureAnswers(event: CloudEvent, error: TidingsError): Promise<CloudEvent[]> {
    const call = event.type === 'tool.invoke' ? event : await callOf(this.#options.bus, event)
    return call ? [fail(call, error)] : []
  }
}

/** The answer of a person, as far as its data is valid. */
type ApprovalAnswered = { readonly type: string } & Partial<ApprovalAnswer>

const denied = ({ by, comment }: ApprovalAnswered) =>
  new TidingsError('E_APPROVAL_DENIED', `${by} denied the call${comment === undefined ? '' : `: ${comment}`}`)

const fail = (event: CloudEvent, error: TidingsError, retries?: Retries) =>
  failureAnswer(event, `/tools/${event.target}`, failureData(error, 'E_TOOL_THREW'), retries)
