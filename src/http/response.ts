import { type ServerResponse, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { plainRedactor, type Redactor } from '../bus/redact.ts'
import { warn } from '../bus/telemetry/warn.ts'
import { type ErrorCode, type ErrorData, TidingsError, toTidingsError } from '../errors.ts'

export interface HttpResponse {
  readonly status: number
  /** Sent as JSON. */
  readonly body?: object
  readonly headers?: Record<string, string>
}

/** The body of every response that reports an error. */
export interface ErrorBody {
  readonly error: ErrorData
}

const statuses: Partial<Record<ErrorCode, number>> = {
  E_EVENT_INVALID: 400,
  E_REQUEST_INVALID: 400,
  E_APPROVAL_FORBIDDEN: 403,
  E_FORBIDDEN: 403,
  E_NOT_FOUND: 404,
  E_BLOB_MISSING: 404,
  E_APPROVAL_CHANGED: 409,
  E_APPROVAL_ANSWERED: 409,
  E_APPROVAL_OVER: 410,
  E_TASK_ENDED: 409,
  E_KEY_REUSED: 422,
  E_CURSOR_EXPIRED: 410,
  E_EVENT_TOO_LARGE: 413,
  E_REQUEST_TOO_LARGE: 413,
  E_BUSY: 503,
  E_CANDIDATE_UNSURE: 503,
  E_CANDIDATE_LATE: 504,
  E_LOG_UNAVAILABLE: 503,
  E_LOG_UNANSWERED: 503,
  E_LOG_REPLACED: 503,
  E_BUS_DENIED: 503,
  E_BUS_CLOSED: 503,
}

const retryAfterSeconds: Partial<Record<number, number>> = { 429: 60, 503: 1 }

type HttpError = TidingsError & { readonly status?: number; readonly retryAfter?: number }

/** An error whose status does not follow from its code. `retryAfter`: in seconds. */
export const httpError = (
  status: number,
  message: string,
  { code = 'E_REQUEST_INVALID', next, retryAfter }: { code?: ErrorCode; next?: string; retryAfter?: number } = {},
) => Object.assign(new TidingsError(code, message, { retryable: retryable.has(status), next }), { status, retryAfter })

const retryable: ReadonlySet<number> = new Set([429, 503])

/**
 * The response for any thrown value. Errors are redacted, because they may quote the request. An error that is not ours
 * becomes a 500 without its text, which goes to stderr as a warning.
 */
export function errorResponse(thrown: unknown, redactor: Redactor = plainRedactor) {
  const error = toTidingsError(thrown, 'E_INTERNAL')
  if (error !== thrown) {
    warn(redactor, error)
    return { status: 500, body: { error: unexpected.toJSON() }, headers: {} }
  }
  const { status = statuses[error.code] ?? 500, retryAfter = retryAfterSeconds[status] } = error as HttpError
  const body: ErrorBody = { error: redactor.value(error.toJSON()) }
  return { status, body, headers: { ...(retryAfter !== undefined && { 'retry-after': String(retryAfter) }) } }
}

const unexpected = new TidingsError('E_INTERNAL', 'the request failed unexpectedly; a warning of the worker says why')

/** On every response: what it contains is data for a program, never a page or a script. */
export const securityHeaders = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
}

export function send(outgoing: ServerResponse, { status, body, headers }: HttpResponse): void {
  const text = body && JSON.stringify(body)
  const about = text && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }
  outgoing.writeHead(status, { ...securityHeaders, ...about, ...headers })
  outgoing.end(text)
}

const parserStatuses: Record<string, number> = { HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408 }

/** Answers bytes that are not HTTP and requests that time out, for which Node makes no response object, and closes. */
export function rejectBrokenRequest(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (!socket.writable) return void socket.destroy()
  const status = parserStatuses[error.code ?? ''] ?? 400
  const body = JSON.stringify({
    error: new TidingsError('E_REQUEST_INVALID', `the request is not readable HTTP: ${error.message}`),
  })
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
    ...Object.entries(securityHeaders).map(([name, value]) => `${name}: ${value}`),
  ]
  // A client that does not close its side would keep the socket open.
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy())
}
