import { STATUS_CODES } from 'node:http'
import { type ErrorCode, TidingsError } from '../errors.ts'

/* What every door that speaks HTTP answers alike. */

/** The status of what was thrown, by its code. */
export const httpStatuses = {
  E_EVENT_INVALID: 400,
  E_REQUEST_INVALID: 400,
  E_NOT_FOUND: 404,
  E_EVENT_TOO_LARGE: 413,
  E_REQUEST_TOO_LARGE: 413,
  E_LOG_UNAVAILABLE: 503,
  E_LOG_UNANSWERED: 503,
  E_LOG_REPLACED: 503,
  E_BUS_DENIED: 503,
  E_BUS_CLOSED: 503,
} as const satisfies Partial<Record<ErrorCode, number>>

const parserStatuses: Record<string, number> = { HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408 }

/** The whole answer to what is no HTTP, and to what does not come to its end; Node gives these to nobody else. */
export function brokenRequest(error: NodeJS.ErrnoException): string {
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
  return `${head.join('\r\n')}\r\n\r\n${body}`
}
