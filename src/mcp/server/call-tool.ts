import type { Server, ServerContext } from '@modelcontextprotocol/server'
import { loadServerSdk } from '../load-sdk.ts'
import type { TaskHandle } from '../../ask/handle.ts'
import { assertCallerMay, assertStillValid } from './caller.ts'
import type { PublishedTool } from './catalog.ts'
import {
  answerForm,
  formKey,
  mayAnswerForm,
  parseFormKey,
  type FormAnswer,
  type WaitingApproval,
} from './elicitation.ts'
import { endWithin, followTask } from './follow-task.ts'
import type { McpDeps } from './mcp-server.ts'
import { ProgressReports } from './progress.ts'
import { invalidRequest } from './protocol-errors.ts'
import { capabilitiesOf, hasTasks, showsForms, type RequestScope } from './request-scope.ts'
import { failureOf, textResult } from './results.ts'
import { idempotencyKeyName } from '../idempotency-key.ts'
import { formRequest, oldForm, originOf, type TaskMethods } from './task-methods.ts'
import { waitingText } from './task-status.ts'

/** What a client brings back with its answer to a form. */
interface CallState {
  readonly task: string
  /** Forms that the person dismissed, which are not shown again. */
  readonly dismissed: readonly string[]
}

/** A call that ends by then needs no task: a second is when a person begins to wait. */
const immediateMs = 900
/** How long a form may take. */
const stateTtlSeconds = 24 * 3_600
const relatedTask = 'io.modelcontextprotocol/related-task'
const taskKey = 'tidings/task'

/** `tools/call`: asks what the tool stands for, and waits as the client can. */
export class CallTool {
  readonly #deps: McpDeps
  readonly #scope: RequestScope
  readonly #tasks: TaskMethods
  readonly #server: Server

  constructor(deps: McpDeps, scope: RequestScope, { tasks, server }: { tasks: TaskMethods; server: Server }) {
    this.#deps = deps
    this.#scope = scope
    this.#tasks = tasks
    this.#server = server
  }

  async call(params: unknown, ctx: ServerContext): Promise<Record<string, unknown>> {
    const { name, arguments: given = {}, task: asTask } = (params ?? {}) as Record<string, unknown>
    if (typeof name !== 'string') throw invalidRequest('the parameter "name" must be the name of a tool')
    if (typeof given !== 'object' || given === null || Array.isArray(given))
      throw invalidRequest('the parameter "arguments" must be an object')
    const { caller, era } = this.#scope
    if (name === 'get_task' || name === 'cancel_task') return this.#taskTool(name, given, ctx)
    assertCallerMay(caller, 'publish', 'agent.invoke')
    assertCallerMay(caller, 'read', 'agent.invoke')
    const tool = await this.#deps.catalog.find(name)
    const state = await this.#stateIn(ctx)
    const input = tool.isWrapped ? (given as { input?: unknown }).input : given
    if (tool.isWrapped && input === undefined)
      return failureOf(invalidRequest(`${name}: the field "input" is missing`), this.#deps.bus.redactor)
    const task = state ? this.#handle(state.task) : await this.#ask(tool, input, ctx)
    const dismissed = state ? await this.#answer(state, ctx) : []
    if (era === 'modern' && hasTasks(capabilitiesOf(this.#scope, ctx))) return this.#asTask(task, ctx)
    if (era === 'legacy' && asTask !== undefined)
      return { task: oldForm((await this.#tasks.read(task.id, ctx)).status) }
    return this.#wait(task, ctx, dismissed)
  }

  /** `tasks/result` of 2025-11-25 waits without a bound. */
  readonly taskResult = async ({ taskId }: { readonly taskId: string }, ctx: ServerContext) => {
    assertCallerMay(this.#scope.caller, 'read', 'agent.invoke')
    await this.#tasks.read(taskId, ctx)
    const result = await this.#wait(this.#handle(taskId), ctx, [], Infinity)
    return { ...result, _meta: { ...(result._meta as object), [relatedTask]: { taskId } } }
  }

  async #ask({ program }: PublishedTool, input: unknown, { mcpReq }: ServerContext): Promise<TaskHandle> {
    const key = mcpReq._meta?.[idempotencyKeyName] ?? this.#scope.idempotencyKey
    if (key !== undefined && (typeof key !== 'string' || key === '' || key.length > 256))
      throw invalidRequest(`"${idempotencyKeyName}" must be a text of 1 to 256 characters`)
    return this.#client().ask(program, input, { ...(key !== undefined && { idempotencyKey: key }) })
  }

  /** A fast call is answered at once; a longer one is durable by then, so its task can be found. */
  async #asTask(task: TaskHandle, ctx: ServerContext): Promise<Record<string, unknown>> {
    const result = await endWithin(task, immediateMs, { bus: this.#deps.bus, tenant: this.#scope.caller.tenant })
    if (result) return result
    return { resultType: 'task', ...(await this.#tasks.read(task.id, ctx)).status }
  }

  async #wait(
    task: TaskHandle,
    ctx: ServerContext,
    dismissed: readonly string[],
    waitMs = this.#scope.waitMs,
  ): Promise<Record<string, unknown>> {
    const { caller, era } = this.#scope
    const { mcpReq } = ctx
    using cancelled = this.#scope.onCancelled?.(mcpReq.id)
    const signal = cancelled ? AbortSignal.any([mcpReq.signal, cancelled.signal]) : mcpReq.signal
    const canShow = showsForms(capabilitiesOf(this.#scope, ctx))
    const followed = await followTask(task, {
      bus: this.#deps.bus,
      tenant: caller.tenant,
      signal,
      waitMs,
      onPart: this.#progressOf(ctx),
      onApproval: approval => {
        if (!canShow || !mayAnswerForm(caller, approval) || dismissed.includes(formKey(approval))) return 'ignore'
        if (era === 'modern') return 'stop'
        void this.#showForm(approval, ctx)
        return 'wait'
      },
    })
    assertStillValid(caller)
    if (followed.kind === 'ended') return followed.result
    if (followed.kind === 'stopped') return this.#form(task, followed.approval, dismissed, ctx)
    if (signal.aborted && isCancellation(signal.reason) && caller.may('publish', 'agent.cancel'))
      await this.#handle(task.id).cancel('cancelled by the MCP client')
    return { ...textResult(runningText(task.id, followed.waitsFor)), _meta: { [taskKey]: task.id } }
  }

  #progressOf({ mcpReq }: ServerContext) {
    const progressToken = mcpReq._meta?.progressToken
    if (progressToken === undefined) return undefined
    const reports = new ProgressReports(report => {
      // The client may have gone; the call notices that by its signal.
      mcpReq.notify({ method: 'notifications/progress', params: { progressToken, ...report } }).catch(() => {})
    })
    return reports.add
  }

  /** In the era of 2025. The stream of the task shows the answer, also if another gateway takes it. */
  async #showForm(approval: WaitingApproval, ctx: ServerContext): Promise<void> {
    try {
      const answer = await this.#scope.showForm(approval, ctx, this.#server)
      if (answer) await answerForm(this.#deps.bus, this.#scope.caller, approval, answer)
    } catch {
      // The client cannot show it after all: others may answer, and the call waits as it would without a form.
    }
  }

  /** In the era of 2026 the client calls again with the answer. */
  async #form(task: TaskHandle, approval: WaitingApproval, dismissed: readonly string[], ctx: ServerContext) {
    const codec = await this.#codec()
    const requestState = await codec.mint({ task: task.id, dismissed }, ctx)
    return { resultType: 'input_required', inputRequests: { [formKey(approval)]: formRequest(approval) }, requestState }
  }

  async #stateIn(ctx: ServerContext): Promise<CallState | undefined> {
    const given = ctx.mcpReq.requestState<string>()
    if (given === undefined) return undefined
    try {
      return await (await this.#codec()).verify(given, ctx)
    } catch {
      throw invalidRequest(
        'the requestState is not one of this server, or is older than a day',
        'Call the tool again without it.',
      )
    }
  }

  async #codec() {
    const { createRequestStateCodec } = await loadServerSdk()
    const { tenant, user } = this.#scope.caller
    const bind = () => JSON.stringify([tenant, user ?? null])
    return createRequestStateCodec<CallState>({ key: await this.#deps.key.get(), ttlSeconds: stateTtlSeconds, bind })
  }

  /** The forms that the person has dismissed, also in earlier rounds. */
  async #answer({ dismissed }: CallState, { mcpReq }: ServerContext): Promise<readonly string[]> {
    const all = [...dismissed]
    for (const [key, answer] of Object.entries(mcpReq.inputResponses ?? {})) {
      const form = parseFormKey(key)
      if (form && (await answerForm(this.#deps.bus, this.#scope.caller, form, answer as FormAnswer)) === 'dismissed')
        all.push(key)
    }
    return all
  }

  async #taskTool(name: 'get_task' | 'cancel_task', given: object, ctx: ServerContext) {
    const { task, reason } = given as Record<string, unknown>
    if (typeof task !== 'string') throw invalidRequest('the argument "task" must be the id of a task')
    assertCallerMay(this.#scope.caller, 'read', 'agent.invoke')
    if (name === 'cancel_task') {
      const ran = await this.#tasks.cancelTask(task, typeof reason === 'string' ? reason : undefined)
      return textResult(
        ran ? `Task ${task} is cancelled.` : `Task ${task} had ended before; get_task shows its result.`,
      )
    }
    await this.#tasks.read(task, ctx)
    return this.#wait(this.#handle(task), ctx, [])
  }

  #handle(task: string): TaskHandle {
    return this.#client().handle(task)
  }

  #client() {
    return this.#deps.client.as(originOf(this.#scope.caller))
  }
}

/** A connection that closed may come back; the task goes on. */
const isCancellation = (reason: unknown): boolean =>
  (reason as { code?: unknown } | undefined)?.code !== 'CONNECTION_CLOSED'

function runningText(task: string, waitsFor: readonly WaitingApproval[]): string {
  const next = `Call get_task with {"task": "${task}"} to wait for its result.`
  return waitsFor.length === 0
    ? `The task still runs. ${next}`
    : `The task waits: ${waitsFor.map(waitingText).join('; ')}. ${next}`
}
