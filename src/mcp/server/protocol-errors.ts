import type { Bus } from '../../bus/bus.ts'
import { warn } from '../../bus/telemetry/warn.ts'
import { type ErrorCode, TidingsError, toTidingsError } from '../../errors.ts'
import type { CallError } from '../../tasks/script.ts'
import { tasksExtension } from '../tasks-extension.ts'

/** An error of JSON-RPC, which the SDK sends as it is. */
class JsonRpcError extends Error {
  override readonly name = 'JsonRpcError'
  readonly code: number
  readonly data: unknown

  constructor(code: number, message: string, data?: unknown) {
    super(message)
    this.code = code
    this.data = data
  }
}

/** Codes of JSON-RPC and MCP. Source: MCP 2026-07-28, schema. */
const invalidParams = -32_602
const internalError = -32_603
/** Of the range that each implementation uses for itself. */
const forbidden = -32_001

const codes: Partial<Record<ErrorCode, number>> = {
  E_NOT_FOUND: invalidParams,
  E_REQUEST_INVALID: invalidParams,
  E_KEY_REUSED: invalidParams,
  E_AGENT_INPUT: invalidParams,
  E_EVENT_INVALID: invalidParams,
  E_EVENT_TOO_LARGE: invalidParams,
  E_VALUE_INVALID: invalidParams,
  E_APPROVAL_CHANGED: invalidParams,
  E_FORBIDDEN: forbidden,
  E_APPROVAL_FORBIDDEN: forbidden,
  E_CREDENTIAL_UNKNOWN: forbidden,
}

/** Throws the error for the client: redacted, with the code of Tidings and what to do next. */
export const asProtocolError =
  ({ redactor }: Bus) =>
  (thrown: unknown): never => {
    if (thrown instanceof JsonRpcError) throw thrown
    const error = toTidingsError(thrown, 'E_INTERNAL')
    if (error !== thrown) {
      warn(redactor, error)
      throw new JsonRpcError(internalError, 'the request failed unexpectedly; a warning of the worker says why')
    }
    const { code, message, next, retryable } = redactor.value(error.toJSON())
    throw new JsonRpcError(codes[error.code] ?? internalError, message, { code, next, ...(retryable && { retryable }) })
  }

/** A failed task, where the client expects more than the result of a tool. */
export function failedTask({ data, next }: CallError): never {
  const { code, message } = data
  throw new JsonRpcError(codes[code as ErrorCode] ?? internalError, message, {
    code,
    ...(next !== undefined && { next }),
  })
}

/** Source: SEP-2164. */
export const noResource = (uri: string) => new JsonRpcError(invalidParams, 'Resource not found', { uri })

export const stillRunning = (task: string) =>
  new JsonRpcError(internalError, 'the task has not ended in time, and goes on', { task })

export const invalidRequest = (message: string, next?: string) =>
  new TidingsError('E_REQUEST_INVALID', message, { next })

/** Source: SEP-2663. */
export const missingTasks = () =>
  new JsonRpcError(-32_021, 'Missing required client capability', {
    requiredCapabilities: { extensions: { [tasksExtension]: {} } },
  })
