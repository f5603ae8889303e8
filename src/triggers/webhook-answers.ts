import { STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { type ErrorCode, errorData, TidingsError } from '../errors.ts'

/** What a request is answered with: a JSON body, or none. */
export interface Answer {
  readonly status: number
  readonly body?: object
  readonly headers?: Record<string, string>
}

type Refusal = TidingsError & { readonly status: number }

/** A refusal whose status does not follow from its code. */
export const refusal = (status: number, message: string, code: ErrorCode = 'E_REQUEST_INVALID'): Refusal =>
  Object.assign(new TidingsError(code, message, { retryable: status === 503 }), { status })

const statuses: Partial<Record<ErrorCode, number>> = {
  E_EVENT_INVALID: 400,
  E_REQUEST_INVALID: 400,
  E_NOT_FOUND: 404,
  E_EVENT_TOO_LARGE: 413,
  E_REQUEST_TOO_LARGE: 413,
  E_BUSY: 503,
  E_LOG_UNAVAILABLE: 503,
  E_LOG_UNANSWERED: 503,
  E_BUS_DENIED: 503,
  E_BUS_CLOSED: 503,
}

/** What was thrown as an answer. What nobody expected is a bug, of ours or of the app: 500, and said on stderr. */
export function answerFor(thrown: unknown): Answer {
  if (!(thrown instanceof TidingsError)) {
    process.emitWarning(thrown instanceof Error ? thrown : new Error(String(thrown)))
    const text = 'the request could not be taken; the log of the worker says why'
    return { status: 500, body: { error: errorData(new Error(text), 'E_INTERNAL') } }
  }
  const status = 'status' in thrown ? (thrown as Refusal).status : (statuses[thrown.code] ?? 500)
  return { status, body: { error: thrown.toJSON() }, ...(status === 503 && { headers: { 'retry-after': '1' } }) }
}

const parserStatuses: Record<string, number> = { HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408 }

/** Answers what is no HTTP, and what does not come to its end, and closes. Node gives these to nobody else. */
export function answerBrokenRequest(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (!socket.writable) {
    socket.destroy()
    return
  }
  const status = parserStatuses[error.code ?? ''] ?? 400
  const body = JSON.stringify(answerFor(refusal(status, `not a readable request: ${error.message}`)).body)
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ]
  // Whoever does not close its side would hold the socket for ever.
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy())
}
