import type { Redactor } from '../bus/redact.ts'

// biome-ignore lint/suspicious/noControlCharactersInRegex: removes control characters
const controlCharacters = /[\u0000-\u001f\u007f]+/g
const maxLength = 256

/** A name from outside, such as that of a model or a tool, as the `subject` of an event. Redacted first: half a secret is not recognised. */
export function subjectOf(redactor: Redactor, name: string): string {
  const line = redactor.text(name).replace(controlCharacters, ' ').trim().slice(0, maxLength).toWellFormed()
  return line || 'unnamed'
}
