import type { ServerContext } from '@modelcontextprotocol/server'
import { assertCallerMay } from './caller.ts'
import { answerForm, formKey, formRequest, mayAnswerForm, parseFormKey, type FormAnswer } from './elicitation.ts'
import type { McpDeps } from './mcp-server.ts'
import { capabilitiesOf, originOf, showsForms, type RequestScope } from './request-scope.ts'
import { readTask, type ReadTask, type TaskStatus } from './task-status.ts'

interface TaskParams {
  readonly taskId: string
}

/**
 * Tasks of MCP are tasks of Tidings: the extension of 2026-07-28, and the experiment of 2025-11-25. Sources: SEP-2663; MCP 2025-11-25,
 * basic/utilities/tasks.
 */
export class TaskMethods {
  readonly #deps: McpDeps
  readonly #scope: RequestScope

  constructor(deps: McpDeps, scope: RequestScope) {
    this.#deps = deps
    this.#scope = scope
  }

  readonly get = async ({ taskId }: TaskParams, ctx: ServerContext) => {
    assertCallerMay(this.#scope.caller, 'read', 'agent.invoke')
    const details = await this.read(taskId, ctx)
    const { status, result, waitsFor } = details
    if (this.#scope.era === 'legacy') return oldForm(status)
    if (status.status === 'completed') return { ...status, result }
    if (status.status !== 'input_required') return status
    const forms = waitsFor.filter(each => mayAnswerForm(this.#scope.caller, each))
    return { ...status, inputRequests: Object.fromEntries(forms.map(each => [formKey(each), formRequest(each)])) }
  }

  readonly cancel = async ({ taskId }: TaskParams, ctx: ServerContext) => {
    const cancelled = await this.cancelTask(taskId)
    if (this.#scope.era === 'modern') return {}
    const { status } = await this.read(taskId, ctx)
    return oldForm(cancelled ? { ...status, status: 'cancelled' } : status)
  }

  /** Answers forms. Keys that nobody waits for are ignored. */
  readonly update = async ({ taskId }: TaskParams, ctx: ServerContext) => {
    const { bus } = this.#deps
    assertCallerMay(this.#scope.caller, 'read', 'agent.invoke')
    const { waitsFor } = await this.read(taskId, ctx)
    const open = new Set(waitsFor.map(formKey))
    for (const [key, answer] of Object.entries(ctx.mcpReq.inputResponses ?? {}))
      if (open.has(key)) await answerForm(bus, this.#scope.caller, parseFormKey(key)!, answer as FormAnswer)
    return {}
  }

  /** The task as this client may see it: what only others may answer is not its input. @throws E_NOT_FOUND */
  read(taskId: string, ctx: ServerContext): Promise<ReadTask> {
    const { caller } = this.#scope
    const canShow = showsForms(capabilitiesOf(this.#scope, ctx))
    return readTask(this.#deps.bus, taskId, caller.tenant, approval => canShow && mayAnswerForm(caller, approval))
  }

  /** Whether it ran until then. @throws E_FORBIDDEN, E_NOT_FOUND */
  async cancelTask(taskId: string, reason?: string): Promise<boolean> {
    const { caller } = this.#scope
    assertCallerMay(caller, 'publish', 'agent.cancel')
    const { found } = await readTask(this.#deps.bus, taskId, caller.tenant, () => false)
    if (found.end) return false
    await this.#deps.client
      .as({ ...originOf(caller) })
      .handle(taskId)
      .cancel(reason)
    return true
  }
}

/** The names of the era before. */
export const oldForm = ({ ttlMs: ttl, pollIntervalMs: pollInterval, ...rest }: TaskStatus) => ({
  ...rest,
  ttl,
  pollInterval,
})
