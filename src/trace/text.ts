/* Text from outside, on one line. Characters that move the cursor or reorder the line are removed. */

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are removed
const unprintable = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+/g
const wide =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u
const zero = /\p{M}/u

export const printable = (text: string) => text.replace(unprintable, ' ')

const columns = (char: string) => (wide.test(char) ? 2 : zero.test(char) ? 0 : 1)

export function displayWidth(text: string): number {
  let width = 0
  for (const char of text) width += columns(char)
  return width
}

export function shorten(text: string, width: number): string {
  if (text.length * 2 <= width || displayWidth(text) <= width) return text
  let kept = ''
  let room = width - 1
  for (const char of text) {
    room -= columns(char)
    if (room < 0) break
    kept += char
  }
  return width > 0 ? `${kept}…` : ''
}

export function padOrShorten(text: string, width: number): string {
  const short = shorten(text, width)
  return short + ' '.repeat(Math.max(0, width - displayWidth(short)))
}

/** A text with at least this many characters in a row and no blank is treated as bytes if it has digits and letters of both cases. */
const base64Runs = /[A-Za-z0-9+/_-]{200,}={0,2}/g

/** The beginning of data, on one line. Base64 is named, not shown. */
export function preview(data: unknown): string {
  if (data === null || data === undefined) return ''
  const text = typeof data === 'string' ? data : (JSON.stringify(data) ?? '')
  const beginning = text.slice(0, 1_000).replace(base64Runs, run => (isMixed(run) ? 'base64 …' : run))
  return printable(beginning)
}

const isMixed = (run: string) => /\d/.test(run) && /[a-z]/.test(run) && /[A-Z]/.test(run)

const units = [['d', 86_400_000], ['h', 3_600_000], ['m', 60_000], ['s', 1_000]] as const // biome-ignore format: one list

/** Formats a duration: `4 ms`, `1.2 s`, `3 m 20 s`, `2 d 4 h`. */
export function elapsed(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`
  if (ms < 60_000) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`
  const largest = units.findIndex(([, size]) => ms >= size)
  const [[unit, size], [smaller, part]] = [units[largest]!, units[largest + 1]!]
  const rest = Math.floor((ms % size) / part)
  return `${Math.floor(ms / size)} ${unit}${rest > 0 ? ` ${rest} ${smaller}` : ''}`
}

/** `1 call`, `2 calls`. */
export const countText = (n: number, noun: string, nouns = `${noun}s`) =>
  `${n.toLocaleString('en')} ${n === 1 ? noun : nouns}`

export const usageText = ({ tokens, cost }: { tokens: number; cost: number }) => [
  ...(tokens > 0 ? [countText(tokens, 'token')] : []),
  ...(cost > 0 ? [`cost ${cost.toPrecision(3)}`] : []),
]
