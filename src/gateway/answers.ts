import type { Duplex } from 'node:stream'
import { HTTPException } from 'hono/http-exception'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { brokenRequest, httpStatuses } from '../bus/http.ts'
import { plainRedactor, type Redactor } from '../bus/redact.ts'
import { warn } from '../bus/telemetry/warn.ts'
import { type ErrorCode, type ErrorData, errorData, TidingsError } from '../errors.ts'

const statuses: Partial<Record<ErrorCode, ContentfulStatusCode>> = {
  ...httpStatuses,
  E_BUSY: 503,
  E_APPROVAL_FORBIDDEN: 403,
  E_APPROVAL_CHANGED: 409,
  E_APPROVAL_ANSWERED: 409,
  E_APPROVAL_OVER: 410,
}

/** A refusal whose status does not follow from its code. */
export const refusal = (status: ContentfulStatusCode, message: string, code: ErrorCode = 'E_REQUEST_INVALID') =>
  new HTTPException(status, { cause: new TidingsError(code, message) })

/** Every answer that is no success looks like this. */
export interface ErrorBody {
  error: ErrorData
}

/** What was thrown as status and body, redacted: an error may quote what was sent. What nobody expected is a bug of ours: 500, and said on stderr. */
export function answerFor(
  thrown: unknown,
  redactor: Redactor = plainRedactor,
): { status: ContentfulStatusCode; body: ErrorBody } {
  const error = thrown instanceof HTTPException ? thrown.cause : thrown
  if (error instanceof TidingsError) {
    const status = thrown instanceof HTTPException ? thrown.status : (statuses[error.code] ?? 500)
    return { status, body: { error: redactor.value(error.toJSON()) } }
  }
  warn(redactor, error)
  return { status: 500, body: { error: redactor.value(errorData(error, 'E_INTERNAL')) } }
}

/** What a client must know beside the body: whether to come again, or how, and that an unread body ends the connection. */
export function headersFor(status: number): Record<string, string> {
  if (status === 503) return { 'retry-after': '1' }
  if (status === 429) return { 'retry-after': '60' }
  if (status === 401) return { 'www-authenticate': 'Bearer' }
  if (status === 413) return { connection: 'close' }
  return {}
}

/** Answers what is no HTTP, and what does not come to its end. */
export const answerBrokenRequest = (error: NodeJS.ErrnoException, socket: Duplex) =>
  socket.writable ? socket.end(brokenRequest(error)) : socket.destroy()
