import type { Server, ServerContext } from '@modelcontextprotocol/server'
import { assertCallerMay } from './caller.ts'
import type { WaitingApproval } from './elicitation.ts'
import type { OutcomeReader } from './follow-task.ts'
import type { McpDeps } from './mcp-server.ts'
import { ProgramCall, type Waited } from './program-call.ts'
import { invalidRequest } from './protocol-errors.ts'
import { capabilitiesOf, hasTasks, originOf, type RequestScope } from './request-scope.ts'
import { failureOf, resultOf, textResult, type ToolResult } from './results.ts'
import { oldForm, type TaskMethods } from './task-methods.ts'
import { waitingText } from './task-status.ts'

/** A call that ends by then needs no task: a second is when a person begins to wait. */
const immediateMs = 900
const relatedTask = 'io.modelcontextprotocol/related-task'
const taskKey = 'tidings/task'

/** `tools/call`: asks what the tool stands for, and waits as the client can. */
export class CallTool {
  readonly #deps: McpDeps
  readonly #scope: RequestScope
  readonly #tasks: TaskMethods
  readonly #server: Server
  readonly #outcome: OutcomeReader<ToolResult>

  constructor(deps: McpDeps, scope: RequestScope, { tasks, server }: { tasks: TaskMethods; server: Server }) {
    this.#deps = deps
    this.#scope = scope
    this.#tasks = tasks
    this.#server = server
    const { bus } = deps
    this.#outcome = {
      resultOf: output => resultOf(bus, scope.caller.tenant, output),
      failureOf: error => failureOf(error, bus.redactor),
    }
  }

  async call(params: unknown, ctx: ServerContext): Promise<Record<string, unknown>> {
    const { name, arguments: given = {}, task: asTask } = (params ?? {}) as Record<string, unknown>
    if (typeof name !== 'string') throw invalidRequest('the parameter "name" must be the name of a tool')
    if (typeof given !== 'object' || given === null || Array.isArray(given))
      throw invalidRequest('the parameter "arguments" must be an object')
    const { caller, era } = this.#scope
    if (name === 'get_task' || name === 'cancel_task') return this.#taskTool(name, given, ctx)
    for (const action of ['publish', 'read'] as const) assertCallerMay(caller, action, 'agent.invoke')
    const tool = await this.#deps.catalog.find(name)
    const input = tool.isWrapped ? (given as { input?: unknown }).input : given
    if (tool.isWrapped && input === undefined)
      return failureOf(invalidRequest(`${name}: the field "input" is missing`), this.#deps.bus.redactor)
    if (era === 'legacy' && asTask !== undefined) {
      const { id } = await this.#program(ctx).start(tool.program, input)
      return { task: oldForm((await this.#tasks.read(id, ctx)).status) }
    }
    const knowsTasks = era === 'modern' && hasTasks(capabilitiesOf(this.#scope, ctx))
    const waited = await this.#program(ctx, knowsTasks).run(
      tool.program,
      input,
      knowsTasks ? immediateMs : this.#scope.waitMs,
    )
    // A fast call is answered at once; a longer one is durable by then, so its task can be found.
    if (!knowsTasks || waited.kind !== 'running') return resultFor(waited)
    return { resultType: 'task', ...(await this.#tasks.read(waited.task, ctx)).status }
  }

  /** `tasks/result` of 2025-11-25 waits without a bound. */
  readonly taskResult = async ({ taskId }: { readonly taskId: string }, ctx: ServerContext) => {
    assertCallerMay(this.#scope.caller, 'read', 'agent.invoke')
    await this.#tasks.read(taskId, ctx)
    const result = resultFor(await this.#waitFor(taskId, ctx, Infinity))
    return { ...result, _meta: { ...(result._meta as object), [relatedTask]: { taskId } } }
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
    return resultFor(await this.#waitFor(task, ctx))
  }

  #waitFor(task: string, ctx: ServerContext, waitMs?: number): Promise<Waited<ToolResult>> {
    return this.#program(ctx).wait(this.#deps.client.as(originOf(this.#scope.caller)).handle(task), waitMs)
  }

  #program(ctx: ServerContext, becomesTask = false): ProgramCall<ToolResult> {
    const shared = { deps: this.#deps, scope: this.#scope, server: this.#server }
    return new ProgramCall({ ...shared, ctx, outcome: this.#outcome, becomesTask })
  }
}

/** For clients that do not know tasks, a text names the one that still runs. */
function resultFor(waited: Waited<ToolResult>): Record<string, unknown> {
  if (waited.kind !== 'running') return waited.result
  const { task, waitsFor } = waited
  return { ...textResult(runningText(task, waitsFor)), _meta: { [taskKey]: task } }
}

function runningText(task: string, waitsFor: readonly WaitingApproval[]): string {
  const next = `Call get_task with {"task": "${task}"} to wait for its result.`
  return waitsFor.length === 0
    ? `The task still runs. ${next}`
    : `The task waits: ${waitsFor.map(waitingText).join('; ')}. ${next}`
}
