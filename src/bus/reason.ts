import { errors, TidingsError, type ErrorCode, type ErrorData } from '../errors.ts'
import type { Redactor } from './redact.ts'

/** Why a delivery was not done. Programs read `code` and `data`; `message` and `next` are for people. */
export type Reason = Pick<ErrorData, 'code' | 'message' | 'next' | 'data'>

export function reasonOf({ code, message, next, data }: ErrorData | TidingsError): Reason {
  return { code, message, ...(next !== undefined && { next }), ...(data && { data }) }
}

/** A reason with the text and the next step of its code. */
export const reason = (code: ErrorCode, message: string): Reason => reasonOf(new TidingsError(code, message))

/** On one line, for logs and spans. */
export const reasonText = ({ code, message }: Reason): string => `${code}: ${message}`

export const redactReason = (redactor: Redactor, { message, ...rest }: Reason): Reason => ({
  ...rest,
  message: redactor.text(message),
})

/** Reads a stored reason. Versions up to 0.2.0 stored plain text. */
export function readReason(stored: unknown): Reason {
  const value = typeof stored === 'string' && stored.startsWith('{') ? parse(stored) : stored
  const { code, message } = (value ?? {}) as Partial<Reason>
  if (typeof code === 'string' && typeof message === 'string') return value as Reason
  return readText(String(stored))
}

/** Most of the texts began with a code, and that of a mismatch named the turn to fork from. */
function readText(text: string): Reason {
  const [, code = '', message = ''] = /^(E_[A-Z_]+): (.*)$/s.exec(text) ?? []
  if (!Object.hasOwn(errors, code)) return { code: 'E_REASON_UNKNOWN' satisfies ErrorCode, message: text }
  const fork = /tidings fork --from (\S+@\d+)/.exec(message)?.[1]
  return { code, message, ...(fork !== undefined && { data: { fork } }) }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
