import type { Span } from '@opentelemetry/api'
import { handedDown, type CloudEvent } from '../event.ts'
import { type ErrorCode, errorData, TidingsError, toTidingsError } from '../errors.ts'
import { answerTo } from '../bus/answer.ts'
import type { Bus } from '../bus/bus.ts'
import { backoff, type Handled } from '../bus/delivery.ts'
import type { Delivery } from '../bus/driver.ts'
import { claimId } from '../bus/ids.ts'
import type { Pauses } from '../bus/pauses.ts'
import { below } from '../bus/telemetry/spans.ts'
import { traceTool } from '../bus/telemetry/work.ts'
import { Workers } from '../bus/workers.ts'
import { type ApprovalAnswer, deniedType, grantedType } from '../tasks/approval.ts'
import { milliseconds } from '../tasks/duration.ts'
import { copyOf } from '../json.ts'
import { validate } from '../schema.ts'
import { callOf, needsApproval, requestFor, waitingCallOf } from './approval.ts'
import { Cancellations } from './cancellations.ts'
import { runAndTake } from './output.ts'
import { runInThread } from './thread.ts'
import type { AnyTool, ToolContext } from './tool.ts'

const defaultTimeout = '1m'

export interface ToolStationOptions {
  bus: Bus
  tools: readonly AnyTool[]
  pauses: Pauses
  /** URL of the module whose default export is the app; blocking tools are loaded from it in their threads. */
  module?: string
}

/** Hosts tools: `tool.invoke` → run → `tool.result` or `tool.failed`. */
export class ToolStation {
  readonly #options: ToolStationOptions
  readonly #cancellations: Cancellations
  readonly #workers: Workers

  constructor(options: ToolStationOptions) {
    this.#options = options
    this.#workers = new Workers(options.bus, options.pauses)
    this.#cancellations = new Cancellations(options.bus, this.#workers.abandoned)
  }

  async start(): Promise<void> {
    this.#cancellations.start()
    await Promise.all(this.#options.tools.map(tool => this.#host(tool)))
  }

  /** Takes no more calls, and lets those under way end; at the cut they are aborted, and others are handed them. */
  async stop(cut?: AbortSignal): Promise<void> {
    await this.#workers.stop(cut)
    this.#cancellations.stop()
  }

  #host(tool: AnyTool): Promise<void> {
    const { limit, rate } = tool.options
    return this.#workers.host({
      kind: 'tool',
      name: tool.name,
      type: 'tool.invoke',
      ...(tool.options.approval !== undefined && { alsoTypes: [grantedType, deniedType] }),
      ...(limit !== undefined && { limit }),
      ...(rate && { rate: { count: rate.count, per: milliseconds(rate.per) } }),
      attempts: tool.options.attempts ?? 1,
      handle: (event, delivery, span) => this.#handle(tool, event, delivery, span),
      fail: (event, error) => this.#giveUp(event, error),
    })
  }

  /** A request, or what a person said to one that was asked about. */
  async #handle(tool: AnyTool, event: CloudEvent, delivery: Delivery, span: Span | undefined): Promise<Handled> {
    const { bus } = this.#options
    if (event.type === 'tool.invoke') return this.#serve(tool, event, delivery, span)
    const call = await waitingCallOf(bus, event)
    if (!call) return { outcome: { kind: 'done' } }
    const { by, hash, comment } = (event.data ?? {}) as Partial<ApprovalAnswer>
    const answer = (code: ErrorCode, text: string) => bus.encodeAll([fail(call, new TidingsError(code, text))])
    if (event.type === deniedType) {
      const why = comment === undefined ? '' : `: ${comment}`
      return { outcome: { kind: 'done' }, events: await answer('E_APPROVAL_DENIED', `${by} denied it${why}`) }
    }
    if (hash === requestFor(bus, tool, call).data.hash) return this.#serve(tool, call, delivery, span, true)
    const problem = `what ${by} approved is not what ${tool.name} would run`
    return { outcome: { kind: 'done' }, events: await answer('E_APPROVAL_CHANGED', problem) }
  }

  async #serve(
    tool: AnyTool,
    event: CloudEvent,
    delivery: Delivery,
    delivering: Span | undefined,
    isApproved = false,
  ): Promise<Handled> {
    const { bus } = this.#options
    try {
      if (!isApproved && (await needsApproval(tool, event)))
        return { outcome: { kind: 'done' }, events: await bus.encodeAll([requestFor(bus, tool, event)]) }
      const output = await traceTool(
        { name: tool.name, event, attempt: delivery.attempt, delivery: delivering },
        span => this.#run(tool, event, delivery, span),
      )
      const answer = answerTo(event, `/tools/${tool.name}`, 'tool.result', { output })
      return { outcome: { kind: 'done' }, events: await bus.encodeAll([answer]) }
    } catch (error) {
      // That says nothing of the tool: the log is away and the request comes again, or another worker has it by now.
      if (isLogAway(error) || this.#workers.abandoned.aborted) throw error
      const failure = toTidingsError(error, 'E_TOOL_THREW')
      const again = failure.code === 'E_TOOL_THREW' || failure.code === 'E_TOOL_TIMEOUT'
      const { attempts = 1, atMostOnce } = tool.options
      if (again && !atMostOnce && delivery.attempt < attempts)
        return {
          outcome: { kind: 'retry', after: backoff(delivery.attempt), reason: `${failure.code}: ${failure.message}` },
        }
      return { outcome: { kind: 'done' }, events: await bus.encodeAll([fail(event, failure)]) }
    }
  }

  async #run(tool: AnyTool, event: CloudEvent, delivery: Delivery, span: Span | undefined): Promise<unknown> {
    const { bus, module } = this.#options
    const { options } = tool
    // What the tool is given is its own: it may change it.
    const own = copyOf(event)
    const data = own.data as { input?: unknown } | null
    const input = await validate(options.input, data?.input, 'E_TOOL_INPUT', tool.name)
    if (options.atMostOnce) await this.#claim(event, span)
    this.#workers.abandoned.throwIfAborted()
    const timeout = milliseconds(options.timeout ?? defaultTimeout)
    using abort = this.#cancellations.watch(event.id, timeout, tool.name)
    const context: ToolContext = {
      signal: abort.signal,
      idempotencyKey: event.id,
      attempt: delivery.attempt,
      event: own,
      blob: reference => bus.getBlob(event.tenant, reference),
      progress: progress =>
        bus.signal({
          type: 'tool.progress',
          source: `/tools/${tool.name}`,
          ...handedDown(event),
          subject: event.id,
          data: progress,
          ...(event.replyto !== undefined && { target: event.replyto }),
        }),
    }
    return await abort.race(
      options.blocking ? runInThread(tool, module, input, context) : runAndTake(tool, input, context),
    )
  }

  /** What a person answered is given up as the call that it is about. */
  async #giveUp(event: CloudEvent, error: TidingsError): Promise<CloudEvent[]> {
    const call = event.type === 'tool.invoke' ? event : await callOf(this.#options.bus, event)
    return call ? [fail(call, error)] : []
  }

  /** Claimed before it starts: whoever finds the claim there does not know how the first start ended. */
  async #claim(event: CloudEvent, span: Span | undefined): Promise<void> {
    const isFirst = await this.#options.bus.claim({
      id: claimId(event.id),
      type: 'tool.claimed',
      source: `/tools/${event.target}`,
      tenant: event.tenant,
      correlationid: event.correlationid,
      causationid: event.id,
      hops: event.hops,
      ...below(span, event),
      ...(event.replay !== undefined && { replay: event.replay }),
      data: null,
    })
    if (!isFirst)
      throw new TidingsError('E_TOOL_OUTCOME_UNKNOWN', `${event.target} was started before, and its end is not known`)
  }
}

const isLogAway = (error: unknown) =>
  error instanceof TidingsError && error.retryable && /^E_(LOG|BUS)_/.test(error.code)

const fail = (event: CloudEvent, error: TidingsError) =>
  answerTo(event, `/tools/${event.target}`, 'tool.failed', { error: errorData(error, 'E_TOOL_THREW') })
