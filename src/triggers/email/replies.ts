import type { Redactor } from '../../bus/redact.ts'
import { warn } from '../../bus/telemetry/warn.ts'
import { type ErrorCode, TidingsError } from '../../errors.ts'

/** An error with the reply that the client gets. */
export interface SmtpError extends Error {
  responseCode: number
}

const replies: Partial<Record<ErrorCode, number>> = {
  E_MAIL_REFUSED: 554,
  E_EVENT_TOO_LARGE: 552,
  E_EVENT_INVALID: 554,
  E_BUSY: 452,
}

/** 451 for whatever is not the fault of the mail: the sender comes again. */
export function toSmtpError(redactor: Redactor, error: unknown): SmtpError {
  if (error instanceof Error && 'responseCode' in error) return error as SmtpError
  if (error instanceof TidingsError)
    return refusal(replies[error.code] ?? 451, { code: error.code, message: redactor.text(error.message) })
  warn(redactor, error)
  return refusal(451, new TidingsError('E_LOG_UNAVAILABLE', 'the mail could not be taken now'))
}

const refusal = (responseCode: number, { code, message }: Pick<TidingsError, 'code' | 'message'>): SmtpError =>
  Object.assign(new Error(`${code} ${message}`), { responseCode })

export const mailRefused = (responseCode: number, why: string) =>
  refusal(responseCode, new TidingsError('E_MAIL_REFUSED', why))

/** The connection ends with it; the mail may come again. */
export const closeWith = (why: string) => refusal(421, new TidingsError('E_BUSY', why, { retryable: true }))
