import { inspect } from 'node:util'

/*
 * What a thrown value says. JavaScript throws anything: undefined, a proxy, an error of 5 MB, an object whose getters throw.
 * Nothing here throws, and every text is bounded.
 */

/** Longest text of an error, in UTF-16 units. */
const maxErrorText = 4_096
/** Room for the note that says how much was cut, so that a text is cut once only. */
const noteRoom = 64
export const maxCodeText = 128
/** Causes and errors of an AggregateError that are read of one thrown value. */
const maxParts = 8
/** How far back a cut looks for the end of a word: half a secret would not be recognised as one. */
const maxWordTail = 1_024
const wordEnd = /[\s"'`,;(){}[\]<>|&]/
const isHighSurrogate = (unit: number) => unit >= 0xd800 && unit <= 0xdbff

/** The text itself, or its beginning and a note that says how much is missing. */
export function truncateText(text: string): string {
  if (text.length <= maxErrorText) return text
  const last = maxErrorText - noteRoom
  let end = last
  while (end > last - maxWordTail && !wordEnd.test(text[end]!)) end--
  if (end === last - maxWordTail) end = last
  if (isHighSurrogate(text.charCodeAt(end - 1))) end--
  return `${text.slice(0, end)}… (${text.length - end} more characters)`
}

/** What a thrown value says, its causes and the errors of an AggregateError included. */
export function describeThrown(thrown: unknown): string {
  try {
    return truncateText(messageWithCauses(thrown, new Set([thrown])))
  } catch {
    return 'a value that cannot be described was thrown'
  }
}

/** The code that a thrown value or one of its causes has, such as `ECONNREFUSED`. */
export function codeOfThrown(thrown: unknown): string | undefined {
  try {
    return findCode(thrown, new Set([thrown]))
  } catch {
    return undefined
  }
}

/** The parts that were read of one thrown value: causes may form a circle. */
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
    // Many errors quote their cause.
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

/** The cause of an error, and the errors that it stands for. */
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
