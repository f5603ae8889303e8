import { TidingsError } from '../../errors.ts'
import { isTapped } from '../../bus/tapped.ts'
import type { CloudEvent } from '../../event.ts'
import { turnType } from '../../tasks/turn.ts'

/** Maximum number of searchable characters in the data of one event. */
const maxSearchedChars = 500
const maxDepth = 16

/**
 * The searchable text of an event: its names, and the beginning of the texts and numbers in its data. Turns only repeat other events, and
 * the `model.invoke` of an agent contains only ids.
 */
export function wordsOf(event: CloudEvent): string {
  const { type, source, target, subject, user, data } = event
  if (type === turnType) return ''
  const texts = [type, source]
  for (const name of [target, subject, user]) if (name !== undefined) texts.push(name)
  if (type !== 'model.invoke' || isTapped(event)) collectTexts(data, texts, maxSearchedChars, 0)
  return normalize(texts.join(' '))
}

/** Returns the number of characters left. */
function collectTexts(value: unknown, texts: string[], room: number, depth: number): number {
  if (typeof value === 'string' || typeof value === 'number') {
    const text = String(value).slice(0, room)
    texts.push(text)
    return room - text.length
  }
  if (typeof value !== 'object' || value === null || depth > maxDepth) return room
  let left = room
  for (const each of Array.isArray(value) ? value : Object.values(value)) {
    if (left <= 0) break
    left = collectTexts(each, texts, left, depth + 1)
  }
  return left
}

const ascii = /^[\u0000-\u007f]*$/ // biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII is meant

/** Removes case and marks. Spaces and ASCII characters other than letters and digits separate words. */
function normalize(text: string): string {
  if (ascii.test(text)) return text.toLowerCase()
  return text
    .normalize('NFKD')
    .replace(/\p{M}+/gu, '')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, ' ')
}

/** The full-text query for events that contain all words. A word that ends in `*` matches by prefix. @throws E_USAGE without words */
export function queryOf(text: string): string {
  const words = wordsIn(text)
  if (words.length > 0) return words.join(' ')
  throw new TidingsError('E_USAGE', 'no search words: give words, or the beginning of a word followed by *')
}

export const hasWords = (text: string): boolean => wordsIn(text).length > 0

/** In the syntax of a full-text query. */
function wordsIn(text: string): string[] {
  return text.split(/\s+/).flatMap(part => {
    const parts = normalize(part).match(/[a-z0-9\u0080-\u{10ffff}]+/gu) ?? []
    return parts.map((word, i) => (part.endsWith('*') && i === parts.length - 1 ? `"${word}"*` : `"${word}"`))
  })
}
