import { inspect } from 'node:util'

/*
 * Describes thrown values. JavaScript code can throw anything: undefined, a proxy, an error of 5 MB, an object whose getters
 * throw. Nothing here throws, and every text is bounded.
 */

/** Longest text of an error, in UTF-16 units. */
const maxErrorText = 4_096
/** Room for the note about the truncation, so that a text is truncated only once. */
const noteRoom = 64
export const maxCodeText = 128
/** Maximum number of causes and AggregateError members that are read. */
const maxParts = 8
/** How far back a truncation looks for the end of a word: half a secret would not be recognised. */
const maxWordTail = 1_024
const wordEnd = /[\s"'`,;(){}[\]<>|&]/
const isHighSurrogate = (unit: number) => unit >= 0xd800 && unit <= 0xdbff

/** The text, or its beginning with a note about how much is missing. */
export function truncateText(text: string): string {
  if (text.length <= maxErrorText) return text
  const last = maxErrorText - noteRoom
  let end = last
  while (end > last - maxWordTail && !wordEnd.test(text[end]!)) end--
  if (end === last - maxWordTail) end = last
  if (isHighSurrogate(text.charCodeAt(end - 1))) end--
  return `${text.slice(0, end)}… (${text.length - end} more characters)`
}

/** The text of a thrown value, with its causes and the errors of an AggregateError. */
export function describeThrown(thrown: unknown): string {
  try {
    return truncateText(messageWithCauses(thrown, new Set([thrown])))
  } catch {
    return 'a value that cannot be described was thrown'
  }
}

/** The code of a thrown value or of one of its causes, such as `ECONNREFUSED`. */
export function codeOfThrown(thrown: unknown): string | undefined {
  try {
    return findCode(thrown, new Set([thrown]))
  } catch {
    return undefined
  }
}

/** The parts that were already read, because causes may form a cycle. */
type Read = Set<unknown>

function findCode(thrown: unknown, read: Read): string | undefined {
  if (typeof thrown !== 'object' || thrown === null) return undefined
  const code = get(thrown, 'code')
  if ((typeof code === 'string' && code !== '') || typeof code === 'number')
    return String(code).slice(0, maxCodeText).toWellFormed()
  for (const part of partsOf(thrown, read)) {
    const found = findCode(part, read)
    if (found !== undefined) return found
  }
  return undefined
}

function messageWithCauses(thrown: unknown, read: Read): string {
  if (typeof thrown !== 'object' || thrown === null)
    return typeof thrown === 'string' ? thrown : `${inspect(thrown, inspectOptions)} was thrown`
  const own = get(thrown, 'message')
  const message = typeof own === 'string' ? own : ''
  const parts: string[] = []
  for (const part of partsOf(thrown, read)) {
    const text = messageWithCauses(part, read)
    // Many errors already quote their cause.
    if (!message.endsWith(text) && !parts.includes(text)) parts.push(text)
  }
  if (parts.length > 0) return message === '' ? parts.join('; ') : `${message}: ${parts.join('; ')}`
  if (message !== '') return message
  const name = get(thrown, 'name')
  return typeof own === 'string' && typeof name === 'string' && name !== '' ? name : inspect(thrown, inspectOptions)
}

// Runs no code of the value: no getter, no toString, no trap of a proxy.
const inspectOptions = {
  customInspect: false,
  depth: 2,
  breakLength: Infinity,
  maxArrayLength: 16,
  maxStringLength: maxErrorText,
} as const

/** The cause of an error and the members of an AggregateError. */
function* partsOf(error: object, read: Read): Iterable<unknown> {
  const cause = get(error, 'cause')
  const errors = get(error, 'errors')
  const parts: unknown[] = cause === undefined || cause === null ? [] : [cause]
  if (Array.isArray(errors)) for (let i = 0; i < errors.length && i < maxParts; i++) parts.push(get(errors, String(i)))
  for (const part of parts) {
    if (read.has(part) || read.size > maxParts) continue
    read.add(part)
    yield part
  }
}

function get(object: object, name: string): unknown {
  try {
    return Reflect.get(object, name)
  } catch {
    return undefined
  }
}
