import { setTimeout as delay } from 'node:timers/promises'
import type { CallToolResult, Client } from '@modelcontextprotocol/client'
import { maxTimerMs } from '../../bus/clock.ts'
import { TidingsError, textOf } from '../../errors.ts'
import type { JsonSchema } from '../../schema.ts'
import { idempotencyKeyName } from '../idempotency-key.ts'
import type { Elicitation, ElicitationAnswer } from './ask-person.ts'
import { LostConnectionError, NotSentError } from './bounded-fetch.ts'
import type { McpConnection } from './connection.ts'
import { brokenAnswerCode, lostAnswerCode } from './guarded-transport.ts'
import {
  cancelServerTask,
  createTask,
  answersTo,
  offersTasks,
  taskIn,
  taskResult,
  UnknownTaskError,
  type InputRequests,
  type ServerTask,
} from './server-tasks.ts'

/*
 * One call of a tool, over connections that may end:
 *
 *     send ──▶ result                              not sent: wait for the server, send again
 *      └─────▶ task, stored ──▶ ask until it ended     connection lost: wait for the server, ask again
 *
 * A call that was sent, and whose connection ended before the answer, may have run. It is repeated if the tool is idempotent; else its outcome is
 * unknown.
 */

/** A call of a tool, as its caller on the log made it. */
export interface ServerCall {
  /** Its name on the server. */
  readonly tool: string
  readonly input: unknown
  readonly inputSchema: JsonSchema
  readonly taskSupport: 'optional' | 'required' | undefined
  /** It must not run twice. */
  readonly isOnce: boolean
  readonly timeoutMs: number
  readonly signal: AbortSignal
  readonly idempotencyKey: string
  onProgress(progress: unknown): void
  /** Asks a person; absent if nobody may be asked. */
  readonly ask?: ((elicitation: Elicitation) => Promise<ElicitationAnswer>) | undefined
  /** Stores the task, so that another process can continue the call. */
  onTask(task: ServerTask): Promise<void>
}

const progressIntervalMs = 200
/** How often a call is sent again because the server wants other credentials. */
const maxRefusals = 2

/** @throws E_TOOL_OUTCOME_UNKNOWN, E_MCP_UNAVAILABLE if the call may be repeated, E_MCP_INPUT, E_MCP_PROTOCOL, E_TOOL_INPUT, E_TOOL_THREW */
export async function callServerTool(connection: McpConnection, call: ServerCall): Promise<CallToolResult> {
  for (let refusals = 0; ; ) {
    const client = await connection.reopened(call.signal)
    let task: ServerTask | undefined
    try {
      const result = await send(client, call)
      if ('content' in result) return result
      task = result
    } catch (error) {
      call.signal.throwIfAborted()
      const why = whyFailed(error)
      if (why === 'other' || (isUnauthorized(error) && ++refusals > maxRefusals)) throw asFailure(error)
      connection.lost(client, textOf(error))
      if (why === 'not sent') continue
      if (call.isOnce)
        throw new TidingsError(
          'E_TOOL_OUTCOME_UNKNOWN',
          `the connection to the MCP server ended while "${call.tool}" ran, and its result is unknown`,
        )
      throw new TidingsError(
        'E_MCP_UNAVAILABLE',
        `the connection to the MCP server ended while "${call.tool}" ran: ${textOf(error)}`,
        { retryable: true },
      )
    }
    await call.onTask(task)
    return continueTask(connection, task, call)
  }
}

async function send(client: Client, call: ServerCall): Promise<CallToolResult | ServerTask> {
  const { tool, input, inputSchema, signal, timeoutMs, idempotencyKey } = call
  const params = {
    name: tool,
    arguments: (input ?? {}) as Record<string, unknown>,
    _meta: { [idempotencyKeyName]: idempotencyKey },
  }
  if (call.taskSupport !== undefined && offersTasks(client)) return createTask(client, params, { signal, timeoutMs })
  for (let answers = {}; ; ) {
    // The timeout of the call is the signal. The schema of the output is not passed on: see conforms.ts.
    const result = await client.callTool(
      { ...params, ...answers },
      {
        signal,
        timeout: maxTimerMs,
        onprogress: throttled(call),
        allowInputRequired: true,
        toolDefinition: { name: tool, inputSchema: inputSchema as { type: 'object' } },
      },
    )
    const { resultType, requestState, inputRequests = {} } = result as MaybeInputRequired
    if (resultType !== 'input_required') return taskIn(result) ?? result
    if (Object.keys(inputRequests).length === 0) await delay(inputRetryMs, undefined, { signal })
    const inputResponses = await answersTo(inputRequests, call.ask)
    answers = { inputResponses, ...(requestState !== undefined && { requestState }) }
  }
}

/** The part of a result that asks for more. Source: SEP-2322. */
interface MaybeInputRequired {
  readonly resultType?: string
  readonly requestState?: string
  readonly inputRequests?: InputRequests
}

/** A server that asks for nothing wants the call to be sent again later. */
const inputRetryMs = 1_000

/** Follows a task to its end, over any number of connections. */
export async function continueTask(
  connection: McpConnection,
  task: ServerTask,
  call: Pick<ServerCall, 'tool' | 'signal' | 'isOnce' | 'onProgress' | 'ask'>,
): Promise<CallToolResult> {
  const { signal, tool } = call
  const report = throttled(call)
  let client: Client | undefined
  try {
    for (;;) {
      client = await connection.reopened(signal)
      try {
        return await taskResult(client, task, {
          signal,
          ask: call.ask,
          onStatus: message => report({ progress: 0, message }),
        })
      } catch (error) {
        signal.throwIfAborted()
        if (error instanceof TidingsError) throw error
        if (error instanceof UnknownTaskError) throw lostTask(tool, call.isOnce, error)
        if (whyFailed(error) === 'other') throw asFailure(error)
        connection.lost(client, textOf(error))
        await delay(progressIntervalMs, undefined, { signal })
      }
    }
  } catch (error) {
    const { code } = (signal.reason ?? {}) as Partial<TidingsError>
    // After a stop of the worker, another one continues the task.
    if (client && (code === 'E_TOOL_TIMEOUT' || code === 'E_TASK_CANCELLED')) cancelServerTask(client, task)
    throw error
  }
}

const lostTask = (tool: string, isOnce: boolean, { message }: Error) =>
  isOnce
    ? new TidingsError('E_TOOL_OUTCOME_UNKNOWN', `the MCP server no longer knows the task of "${tool}": ${message}`)
    : new TidingsError('E_MCP_UNAVAILABLE', `the MCP server no longer knows the task of "${tool}": ${message}`, {
        retryable: true,
      })

function throttled({ onProgress }: Pick<ServerCall, 'onProgress'>) {
  let last = -Infinity
  return (progress: { progress: number; total?: number | undefined; message?: string | undefined }) => {
    const now = performance.now()
    const isEnd = progress.total !== undefined && progress.progress >= progress.total
    if (now - last < progressIntervalMs && !isEnd) return
    last = now
    onProgress({ ...progress, ...(progress.message !== undefined && { message: progress.message.slice(0, 1_000) }) })
  }
}

const isUnauthorized = (error: unknown) => error instanceof Error && error.name === 'UnauthorizedError'

// Gateways answer so, whether the server received the request or not.
const gatewayStatuses = new Set<unknown>([502, 503, 504])
const lostCodes = new Set<unknown>([lostAnswerCode, 'CONNECTION_CLOSED', 'REQUEST_TIMEOUT'])

/** How far a request came. */
function whyFailed(error: unknown): 'not sent' | 'lost' | 'other' {
  if (error instanceof NotSentError) return 'not sent'
  if (error instanceof LostConnectionError) return 'lost'
  if (!(error instanceof Error) || error instanceof TidingsError) return 'other'
  const { name, code, status } = error as { name: string; code?: unknown; status?: unknown }
  // An expired session: the server refuses the request before it reads it. Servers of the older SDK answer 400.
  if (status === 404 || status === 429 || (status === 400 && /session/i.test(error.message))) return 'not sent'
  if (isUnauthorized(error)) return 'not sent'
  if (code === 'NOT_CONNECTED' || error.message === 'Not connected') return 'not sent'
  if (lostCodes.has(code) || gatewayStatuses.has(status) || name === 'AbortError') return 'lost'
  // Of the pipe to a process that ended.
  return code === 'EPIPE' || code === 'ECONNRESET' || code === 'ERR_STREAM_DESTROYED' ? 'lost' : 'other'
}

const invalidParams = -32602

/** The error of a server that answered. */
function asFailure(error: unknown): TidingsError {
  if (error instanceof TidingsError) return error
  const { code } = (error ?? {}) as { code?: string | number }
  const about = { cause: error, originalCode: code === undefined ? undefined : String(code) }
  if (code === invalidParams) return new TidingsError('E_TOOL_INPUT', textOf(error), about)
  if (code === brokenAnswerCode) return new TidingsError('E_MCP_PROTOCOL', textOf(error), about)
  return new TidingsError('E_TOOL_THREW', textOf(error), {
    ...about,
    next: 'The MCP server answered with this error. Look at its log, or correct the input of the call.',
  })
}
