import type { CloudEvent } from '../../event.ts'
import { turnType } from '../../tasks/turn.ts'

/** Of the data of one event so many characters can be searched. */
const searched = 500
const deepest = 16

/**
 * What can be searched of an event: its names, and the beginning of the texts and numbers in its data. A turn repeats what
 * other events say, a `model.invoke` holds ids only.
 */
export function wordsOf({ type, source, target, subject, user, data }: CloudEvent): string {
  if (type === turnType) return ''
  const texts = [type, source]
  for (const name of [target, subject, user]) if (name !== undefined) texts.push(name)
  if (type !== 'model.invoke') take(data, texts, searched, 0)
  return folded(texts.join(' '))
}

/** Returns how many characters are left. */
function take(value: unknown, texts: string[], room: number, depth: number): number {
  if (typeof value === 'string' || typeof value === 'number') {
    const text = String(value).slice(0, room)
    texts.push(text)
    return room - text.length
  }
  if (typeof value !== 'object' || value === null || depth > deepest) return room
  let left = room
  for (const each of Array.isArray(value) ? value : Object.values(value)) {
    if (left <= 0) break
    left = take(each, texts, left, depth + 1)
  }
  return left
}

const ascii = /^[\u0000-\u007f]*$/ // biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII is meant

/** Without case and marks, words parted by spaces or by ASCII that is no letter and no digit. */
function folded(text: string): string {
  if (ascii.test(text)) return text.toLowerCase()
  return text
    .normalize('NFKD')
    .replace(/\p{M}+/gu, '')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, ' ')
}

/** The full-text query for events that hold all the words; one that ends in `*` is the beginning of a word. */
export function queryOf(text: string): string {
  const words = text.split(/\s+/).flatMap(part => {
    const parts = folded(part).match(/[a-z0-9\u0080-\u{10ffff}]+/gu) ?? []
    return parts.map((word, i) => (part.endsWith('*') && i === parts.length - 1 ? `"${word}"*` : `"${word}"`))
  })
  return words.join(' ')
}
