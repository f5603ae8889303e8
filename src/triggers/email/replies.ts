import type { Redactor } from '../../bus/redact.ts'
import { warn } from '../../bus/telemetry/warn.ts'
import { type ErrorCode, TidingsError } from '../../errors.ts'

/** An error with the SMTP reply code for the client. */
export interface SmtpError extends Error {
  responseCode: number
}

const replies: Partial<Record<ErrorCode, number>> = {
  E_MAIL_REFUSED: 554,
  E_EVENT_TOO_LARGE: 552,
  E_EVENT_INVALID: 554,
  E_BUSY: 452,
}

/** 451 for errors that are not caused by the mail, so that the sender retries. */
export function toSmtpError(redactor: Redactor, error: unknown): SmtpError {
  if (error instanceof Error && 'responseCode' in error) return error as SmtpError
  if (error instanceof TidingsError)
    return smtpError(replies[error.code] ?? 451, { code: error.code, message: redactor.text(error.message) })
  warn(redactor, error)
  return smtpError(451, new TidingsError('E_LOG_UNAVAILABLE', 'the mail could not be stored now; retry later'))
}

const smtpError = (responseCode: number, { code, message }: Pick<TidingsError, 'code' | 'message'>): SmtpError =>
  Object.assign(new Error(`${code} ${message}`), { responseCode })

export const mailRefused = (responseCode: number, why: string) =>
  smtpError(responseCode, new TidingsError('E_MAIL_REFUSED', why))

/** Ends the connection; the sender may retry. */
export const closeWith = (why: string) => smtpError(421, new TidingsError('E_BUSY', why, { retryable: true }))
