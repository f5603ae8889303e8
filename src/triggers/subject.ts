import type { Redactor } from '../bus/redact.ts'

const maxSubject = 256

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is taken out
const control = /[\u0000-\u001f\u007f]+/g

/** Text from outside as one line of at most 256 characters. Redacted before it is cut: half a secret is not known for one. */
export const toSingleLine = (redactor: Redactor, text: string) => cut(redactor.text(text).replace(control, ' '))

/** The same without blanks around it; empty where nothing is left. */
export const toSubject = (redactor: Redactor, text: string) =>
  cut(redactor.text(text).replace(control, ' ').trim()).trim()

const cut = (line: string) => line.slice(0, maxSubject).toWellFormed()
