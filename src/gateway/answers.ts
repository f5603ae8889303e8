import type { Duplex } from 'node:stream'
import { STATUS_CODES } from 'node:http'
import { HTTPException } from 'hono/http-exception'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { type ErrorCode, type ErrorData, errorData, TidingsError } from '../errors.ts'

const statuses: Partial<Record<ErrorCode, ContentfulStatusCode>> = {
  E_EVENT_INVALID: 400,
  E_REQUEST_INVALID: 400,
  E_NOT_FOUND: 404,
  E_APPROVAL_FORBIDDEN: 403,
  E_APPROVAL_CHANGED: 409,
  E_APPROVAL_ANSWERED: 409,
  E_APPROVAL_OVER: 410,
  E_EVENT_TOO_LARGE: 413,
  E_REQUEST_TOO_LARGE: 413,
  E_LOG_UNAVAILABLE: 503,
  E_LOG_UNANSWERED: 503,
  E_BUS_DENIED: 503,
  E_BUS_CLOSED: 503,
}

/** A refusal whose status does not follow from its code. */
export const refusal = (status: ContentfulStatusCode, message: string, code: ErrorCode = 'E_REQUEST_INVALID') =>
  new HTTPException(status, { cause: new TidingsError(code, message) })

/** Every answer that is no success looks like this. */
export interface ErrorBody {
  error: ErrorData
}

/** What was thrown as status and body. What nobody expected is a bug of ours: 500, and said on stderr. */
export function answerFor(thrown: unknown): { status: ContentfulStatusCode; body: ErrorBody } {
  const error = thrown instanceof HTTPException ? thrown.cause : thrown
  if (error instanceof TidingsError) {
    const status = thrown instanceof HTTPException ? thrown.status : (statuses[error.code] ?? 500)
    return { status, body: { error: error.toJSON() } }
  }
  process.emitWarning(error instanceof Error ? error : new Error(String(error)))
  return { status: 500, body: { error: errorData(error, 'E_INTERNAL') } }
}

/** What a client must know beside the body: whether to come again, or how, and that an unread body ends the connection. */
export function headersFor(status: number): Record<string, string> {
  if (status === 503) return { 'retry-after': '1' }
  if (status === 429) return { 'retry-after': '60' }
  if (status === 401) return { 'www-authenticate': 'Bearer' }
  if (status === 413) return { connection: 'close' }
  return {}
}

const parserStatuses: Record<string, number> = { HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408 }

/** Answers what is no HTTP, and what does not come to its end; Node gives these to nobody else. */
export function answerBrokenRequest(error: NodeJS.ErrnoException, socket: Duplex) {
  if (!socket.writable) return socket.destroy()
  const status = parserStatuses[error.code ?? ''] ?? 400
  const body = JSON.stringify({
    error: new TidingsError('E_REQUEST_INVALID', `not a readable request: ${error.message}`),
  })
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
}
