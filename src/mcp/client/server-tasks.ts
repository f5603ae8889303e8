import { setTimeout as delay } from 'node:timers/promises'
import type { CallToolResult, Client } from '@modelcontextprotocol/client'
import { z } from 'zod'
import { TidingsError } from '../../errors.ts'
import type { Elicitation, ElicitationAnswer } from './ask-person.ts'
import { carriedTask } from './guarded-transport.ts'

/*
 * A call that a server turned into a task has an id, by which any process asks for its result. Two protocols have tasks: that of 2025-11-25, where
 * the client asks for one and fetches the result by `tasks/result`, and the extension of 2026-07-28, where the server decides and `tasks/get`
 * contains the result.
 */

/** A task on a server, as it is stored beside the log. */
export interface ServerTask {
  readonly id: string
  readonly pollIntervalMs?: number
}

const taskFields = {
  taskId: z.string().min(1).max(1_024),
  status: z.enum(['working', 'input_required', 'completed', 'failed', 'cancelled']),
  statusMessage: z.string().optional(),
  pollIntervalMs: z.number().positive().optional(),
  pollInterval: z.number().positive().optional(),
}
const taskState = z.looseObject({
  ...taskFields,
  result: z.looseObject({}).optional(),
  error: z.looseObject({ message: z.string().optional() }).optional(),
})
const createdTask = z.looseObject({ task: z.looseObject(taskFields).optional() })
type TaskState = z.infer<typeof taskState>

const defaultPollIntervalMs = 1_000
const minPollIntervalMs = 100
const maxPollIntervalMs = 15_000
const requestTimeoutMs = 60_000
/** The longest time for which a server is asked to keep a result. */
const maxTtlMs = 7 * 24 * 60 * 60_000

const serverTask = ({
  taskId,
  pollIntervalMs,
  pollInterval,
}: Pick<TaskState, 'taskId' | 'pollIntervalMs' | 'pollInterval'>): ServerTask => {
  // biome-ignore format: one declaration
  const interval = pollIntervalMs ?? pollInterval
  return { id: taskId, ...(interval !== undefined && { pollIntervalMs: interval }) }
}

/** The task that a result of `tools/call` stands for, by the extension. */
export function taskIn(result: CallToolResult): ServerTask | undefined {
  const carried = carriedTask(result)
  return carried === undefined ? undefined : serverTask(taskState.parse(carried))
}

/** Whether a server of 2025-11-25 makes tasks of tool calls. */
export const offersTasks = (client: Client): boolean =>
  client.getProtocolEra() === 'legacy' && client.getServerCapabilities()?.tasks?.requests?.tools?.call !== undefined

/** Calls a tool as a task, in the protocol of 2025-11-25. */
export async function createTask(
  client: Client,
  params: { readonly name: string; readonly arguments: Record<string, unknown> },
  { signal, timeoutMs }: { signal: AbortSignal; timeoutMs: number },
): Promise<ServerTask | CallToolResult> {
  const task = { ttl: Math.min(2 * timeoutMs, maxTtlMs) }
  const request = { method: 'tools/call', params: { ...params, task } }
  const created = await client.request(request, createdTask, { signal, timeout: requestTimeoutMs })
  // A server may have answered at once.
  return created.task ? serverTask(created.task) : (created as CallToolResult)
}

/** The server does not know the task any more, or never knew it. */
export class UnknownTaskError extends Error {
  override readonly name = 'UnknownTaskError'
}

export interface TaskWatch {
  readonly signal: AbortSignal
  readonly ask?: ((elicitation: Elicitation) => Promise<ElicitationAnswer>) | undefined
  onStatus(message: string): void
}

/** Asks for the state of a task until it has ended. @throws UnknownTaskError, E_MCP_INPUT, E_TOOL_THREW */
export async function taskResult(
  client: Client,
  task: ServerTask,
  { signal, ask, onStatus }: TaskWatch,
): Promise<CallToolResult> {
  const options = { signal, timeout: requestTimeoutMs }
  const params = { taskId: task.id }
  const answered = new Set<string>()
  let told: string | undefined
  for (;;) {
    const state = await asUnknown(client.request({ method: 'tasks/get', params }, taskState, options))
    const { status, statusMessage } = state
    if (status === 'completed') {
      if (client.getProtocolEra() === 'modern') return (state.result ?? { content: [] }) as CallToolResult
      return (await client.request({ method: 'tasks/result', params }, z.looseObject({}), options)) as CallToolResult
    }
    if (status === 'failed' || status === 'cancelled') {
      const why = state.error?.message ?? statusMessage
      throw new TidingsError('E_TOOL_THREW', `the task on the MCP server ${status}${why ? `: ${why}` : ''}`)
    }
    if (status === 'input_required' && !(ask && client.getProtocolEra() === 'modern')) {
      cancelServerTask(client, task)
      throw inputRequired()
    }
    if (status === 'input_required') {
      // The state of a task may lag behind its update.
      const open = Object.entries((state.inputRequests ?? {}) as InputRequests).filter(([key]) => !answered.has(key))
      const inputResponses = await answersTo(Object.fromEntries(open), ask)
      for (const [key] of open) answered.add(key)
      const request = { method: 'tasks/update', params: { ...params, inputResponses } }
      if (open.length > 0) await asUnknown(client.request(request, z.looseObject({}), options))
    }
    if (statusMessage !== undefined && statusMessage !== told) onStatus((told = statusMessage))
    const { pollIntervalMs = defaultPollIntervalMs } = { ...task, ...serverTask(state) }
    await delay(Math.min(maxPollIntervalMs, Math.max(minPollIntervalMs, pollIntervalMs)), undefined, { signal })
  }
}

/** What a server asks for, under keys that it chose. */
export type InputRequests = Readonly<Record<string, { readonly method: string; readonly params?: Elicitation }>>

/** The answers of a person to everything that a server asks for. @throws E_MCP_INPUT if it asks for more than forms, or nobody may be asked */
export async function answersTo(
  requests: InputRequests,
  ask: TaskWatch['ask'],
): Promise<Record<string, ElicitationAnswer>> {
  const answers: Record<string, ElicitationAnswer> = {}
  for (const [key, { method, params = {} }] of Object.entries(requests)) {
    if (!ask || method !== 'elicitation/create') throw inputRequired()
    answers[key] = await ask(params)
  }
  return answers
}

const inputRequired = () =>
  new TidingsError('E_MCP_INPUT', 'the tool of the MCP server asks for input from a person, a model or the file system')

/** Tells the server that nobody waits for the task any more. */
export function cancelServerTask(client: Client, { id }: ServerTask): void {
  const request = { method: 'tasks/cancel', params: { taskId: id } }
  void client.request(request, z.looseObject({}), { timeout: requestTimeoutMs }).catch(() => {})
}

const unknownCodes = new Set<unknown>([-32602, -32002])

async function asUnknown<T>(asking: Promise<T>): Promise<T> {
  try {
    return await asking
  } catch (error) {
    if (unknownCodes.has((error as { code?: unknown } | null)?.code))
      throw new UnknownTaskError((error as Error).message, { cause: error })
    throw error
  }
}
