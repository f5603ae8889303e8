import type { Server, ServerContext } from '@modelcontextprotocol/server'
import type { TaskHandle } from '../../ask/handle.ts'
import type { StreamPart } from '../../ask/parts.ts'
import { idempotencyKeyName } from '../idempotency-key.ts'
import { signState, stateIn, type CallState } from './call-state.ts'
import { assertCallerMay, assertStillValid } from './caller.ts'
import { answerForm, formKey, formRequest, mayAnswerForm, parseFormKey, type FormAnswer, type WaitingApproval } from './elicitation.ts' // biome-ignore format: one line
import { followTask, type OutcomeReader } from './follow-task.ts'
import type { McpDeps } from './mcp-server.ts'
import { listenerOf } from './listener.ts'
import { invalidRequest } from './protocol-errors.ts'
import { capabilitiesOf, originOf, showsForms, type RequestScope } from './request-scope.ts'

/** How far a request came with its task. */
export type Waited<Result> =
  | { readonly kind: 'ended'; readonly result: Result }
  /** The client shows forms, and sends the request again with the answers. */
  | { readonly kind: 'input'; readonly result: Record<string, unknown> }
  /** `waitsFor`: requests for approval that others must answer. */
  | { readonly kind: 'running'; readonly task: string; readonly waitsFor: readonly WaitingApproval[] }

export interface ProgramCallOptions<Result> {
  readonly deps: McpDeps
  readonly scope: RequestScope
  readonly server: Server
  readonly ctx: ServerContext
  readonly outcome: OutcomeReader<Result>
  /** The client gets a task if there is no end soon, and answers requests for approval there. */
  readonly becomesTask?: boolean
}

/**
 * One request of a client that a task answers: it asks a program, shows the forms that the task asks for, and waits. A client of 2026-07-28 sends
 * the request again with the answers, to any gateway; it brings the state with it.
 */
export class ProgramCall<Result> {
  readonly #options: ProgramCallOptions<Result>
  /** Answers that came with the request, for forms that were not shown. */
  #offered: Readonly<Record<string, unknown>> = {}
  #dismissed: readonly string[] = []
  #listening: Promise<((part: StreamPart) => void) | undefined> | undefined

  constructor(options: ProgramCallOptions<Result>) {
    this.#options = options
  }

  /** Starts the task, or continues the one of an earlier round, and waits. @throws E_NOT_FOUND, E_FORBIDDEN, E_REQUEST_INVALID */
  async run(program: string, input: unknown, waitMs = this.#options.scope.waitMs): Promise<Waited<Result>> {
    const { deps, scope, ctx } = this.#options
    assertCallerMay(scope.caller, 'publish', 'agent.invoke')
    assertCallerMay(scope.caller, 'read', 'agent.invoke')
    const state = await stateIn(ctx, scope.caller, deps.key)
    await this.#take(state)
    return state ? this.wait(this.#handle(state.task), waitMs) : this.#ask(program, input, waitMs)
  }

  /** Waits for a task that exists. */
  async wait(task: TaskHandle, waitMs = this.#options.scope.waitMs, stream?: OpenStream): Promise<Waited<Result>> {
    const { deps, scope, ctx, outcome } = this.#options
    using cancelled = scope.onCancelled?.(ctx.mcpReq.id)
    const { signal: gone } = ctx.mcpReq
    const signal = cancelled ? AbortSignal.any([gone, cancelled.signal]) : gone
    const followed = await followTask(task, {
      bus: deps.bus,
      signal,
      waitMs,
      outcome,
      ...(stream && { stream: signal => stream.until(signal) }),
      onPart: await this.#listen(),
      onApproval: approval => this.#decide(approval),
    })
    assertStillValid(scope.caller)
    if (followed.kind === 'ended') return followed
    if (followed.kind === 'stopped') return { kind: 'input', result: await this.#form(task, followed.approval) }
    if (signal.aborted && isCancellation(signal.reason) && scope.caller.may('publish', 'agent.cancel'))
      await this.#handle(task.id).cancel('cancelled by the MCP client')
    return { kind: 'running', task: task.id, waitsFor: followed.waitsFor }
  }

  /** Starts the task. */
  async start(program: string, input: unknown): Promise<TaskHandle> {
    return (await this.#client().request(program, input, this.#askOptions())).handle
  }

  /** Starts the task, and waits for its end. What happens to it is read from before it began, so that no progress is missed. */
  async #ask(program: string, input: unknown, waitMs: number): Promise<Waited<Result>> {
    const isFollowed = (await this.#listen()) !== undefined
    await using streams = new AsyncDisposableStack()
    let stream: OpenStream | undefined
    const onPlanned = (planned: TaskHandle) => {
      if (isFollowed) stream = streams.use(new OpenStream(planned))
    }
    const { handle } = await this.#client().request(program, input, this.#askOptions(), onPlanned)
    return await this.wait(handle, waitMs, stream)
  }

  #askOptions() {
    const { scope, ctx } = this.#options
    const key = ctx.mcpReq._meta?.[idempotencyKeyName] ?? scope.idempotencyKey
    if (key !== undefined && (typeof key !== 'string' || key === '' || key.length > 256))
      throw invalidRequest(`"${idempotencyKeyName}" must be a text of 1 to 256 characters`)
    return key === undefined ? {} : { idempotencyKey: key }
  }

  #listen(): Promise<((part: StreamPart) => void) | undefined> {
    return (this.#listening ??= listenerOf(this.#options.scope, this.#options.ctx))
  }

  async #decide(approval: WaitingApproval): Promise<'stop' | 'wait' | 'ignore'> {
    const { deps, scope, ctx, server, becomesTask } = this.#options
    const { caller, era } = scope
    if (becomesTask && !approval.form) return 'ignore'
    const canShow = showsForms(capabilitiesOf(scope, ctx))
    if (!canShow || !mayAnswerForm(caller, approval) || this.#dismissed.includes(formKey(approval))) return 'ignore'
    if (era === 'legacy') {
      void this.#showForm(approval, server)
      return 'wait'
    }
    const offered = this.#offered[approval.name]
    // Never for an approval, or for a form that names its approvers: such an answer counts for what was shown.
    if (!isAnswer(offered) || !approval.form || approval.approvers) return 'stop'
    const { [approval.name]: _, ...rest } = this.#offered
    this.#offered = rest
    const end = await answerForm(deps.bus, caller, approval, offered)
    if (end === 'dismissed') this.#dismissed = [...this.#dismissed, formKey(approval)]
    return end === 'answered' ? 'wait' : end === 'dismissed' ? 'ignore' : 'stop'
  }

  /** In the era of 2025. The stream of the task shows the answer, also if another gateway takes it. */
  async #showForm(approval: WaitingApproval, server: Server): Promise<void> {
    const { deps, scope, ctx } = this.#options
    try {
      const answer = await scope.showForm(approval, ctx, server)
      if (answer) await answerForm(deps.bus, scope.caller, approval, answer)
    } catch {
      // The client cannot show it after all: others may answer, and the call waits as it would without a form.
    }
  }

  /** In the era of 2026 the client calls again with the answer. */
  async #form(task: TaskHandle, approval: WaitingApproval) {
    const { deps, scope, ctx } = this.#options
    const { id, hash, form, name } = approval
    const key = form ? name : formKey(approval)
    const state: CallState = { task: task.id, dismissed: this.#dismissed, forms: { [key]: { id, hash } } }
    const requestState = await signState(state, scope.caller, deps.key, ctx)
    return { resultType: 'input_required', inputRequests: { [key]: formRequest(approval) }, requestState }
  }

  /** Takes the answers that the client brings to the forms of the round before, and keeps the others. */
  async #take(state: CallState | undefined): Promise<void> {
    const { deps, scope, ctx } = this.#options
    const offered: Record<string, unknown> = {}
    const dismissed = [...(state?.dismissed ?? [])]
    for (const [key, answer] of Object.entries(ctx.mcpReq.inputResponses ?? {})) {
      const form = state?.forms[key] ?? parseFormKey(key)
      if (!form) offered[key] = answer
      else if (isAnswer(answer) && (await answerForm(deps.bus, scope.caller, form, answer)) === 'dismissed')
        dismissed.push(formKey(form))
    }
    this.#offered = offered
    this.#dismissed = dismissed
  }

  #handle(task: string): TaskHandle {
    return this.#client().handle(task)
  }

  #client() {
    return this.#options.deps.client.as(originOf(this.#options.scope.caller))
  }
}

const isAnswer = (value: unknown): value is FormAnswer =>
  typeof value === 'object' && value !== null && 'action' in value

/** A connection that closed may come back; the task goes on. */
const isCancellation = (reason: unknown): boolean =>
  (reason as { code?: unknown } | undefined)?.code !== 'CONNECTION_CLOSED'

/** The stream of a task, which is read from now on. */
class OpenStream implements AsyncDisposable {
  readonly #stop = new AbortController()
  readonly #parts: AsyncGenerator<StreamPart>
  readonly #first: Promise<IteratorResult<StreamPart>>

  constructor(task: TaskHandle) {
    this.#parts = task.stream({ signal: this.#stop.signal })
    this.#first = this.#parts.next()
    // Handled where it is read.
    this.#first.catch(() => {})
  }

  async *until(signal: AbortSignal): AsyncGenerator<StreamPart> {
    if (signal.aborted) this.#stop.abort()
    signal.addEventListener('abort', () => this.#stop.abort(), { once: true })
    const { done, value } = await this.#first
    if (done) return
    yield value
    yield* this.#parts
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#parts.return(undefined).catch(() => {})
  }
}
