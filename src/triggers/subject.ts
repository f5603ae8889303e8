import type { Redactor } from '../bus/redact.ts'

const maxLength = 256

// biome-ignore lint/suspicious/noControlCharactersInRegex: removes control characters
const controlCharacters = /[\u0000-\u001f\u007f]+/g

/** Text from outside as one line of at most 256 characters. Redacted first, because half a secret is not recognised. */
export const toSingleLine = (redactor: Redactor, text: string) =>
  redactor.text(text).replace(controlCharacters, ' ').slice(0, maxLength).toWellFormed()

/** The same, trimmed; may be empty. */
export const toSubject = (redactor: Redactor, text: string) => toSingleLine(redactor, text.trim()).trim()
