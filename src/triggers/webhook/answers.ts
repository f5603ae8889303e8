import type { Duplex } from 'node:stream'
import { brokenRequest, httpStatuses } from '../../bus/http.ts'
import type { Redactor } from '../../bus/redact.ts'
import { warn } from '../../bus/telemetry/warn.ts'
import { type ErrorCode, errorData, TidingsError, toTidingsError } from '../../errors.ts'

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

const statuses: Partial<Record<ErrorCode, number>> = { ...httpStatuses, E_BUSY: 503 }

/** What was thrown as an answer, redacted: an error may quote what was sent. What nobody expected is a bug, of ours or of the app: 500, and said on stderr. */
export function answerFor(thrown: unknown, redactor: Redactor): Answer {
  const error = toTidingsError(thrown, 'E_INTERNAL')
  // A mapping or a schema of the app may throw anything, a proxy too.
  if (error !== thrown) {
    warn(redactor, error.message)
    const text = 'the request could not be taken; the log of the worker says why'
    return { status: 500, body: { error: errorData(new Error(text), 'E_INTERNAL') } }
  }
  const status = 'status' in error ? (error as Refusal).status : (statuses[error.code] ?? 500)
  return {
    status,
    body: { error: redactor.value(error.toJSON()) },
    ...(status === 503 && { headers: { 'retry-after': '1' } }),
  }
}

/** Answers what is no HTTP, and what does not come to its end, and closes. */
export function answerBrokenRequest(error: NodeJS.ErrnoException, socket: Duplex): void {
  // Whoever does not close its side would hold the socket for ever.
  if (socket.writable) socket.end(brokenRequest(error), () => socket.destroy())
  else socket.destroy()
}
