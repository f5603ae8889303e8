import { decodeText } from './decode.ts'

/** A header field: its name in lower case, its value unfolded but not decoded. */
export interface HeaderField {
  name: string
  value: string
}

/** Skips lines that are not fields. */
export function parseFields(lines: readonly string[]): HeaderField[] {
  const unfolded: string[][] = []
  for (const line of lines)
    if (/^[ \t]/.test(line) && unfolded.length > 0) unfolded.at(-1)!.push(line)
    else unfolded.push([line])
  return unfolded
    .map(parts => parts.join(''))
    .filter(line => line.includes(':'))
    .map(line => {
      const colon = line.indexOf(':')
      return { name: trimBlanks(line.slice(0, colon)).toLowerCase(), value: trimBlanks(line.slice(colon + 1)) }
    })
}

export const fieldValue = (fields: readonly HeaderField[], name: string) =>
  fields.find(field => field.name === name)?.value

// Unlike trim(), only space and tab, which are the blanks of a header.
const trimBlanks = (text: string) => trimWhere(text, isBlank)

/** Removes the characters at both ends that `matches` accepts, in linear time. */
export function trimWhere(text: string, matches: (char: string) => boolean): string {
  let [start, end] = [0, text.length]
  while (start < end && matches(text[start]!)) start++
  while (end > start && matches(text[end - 1]!)) end--
  return text.slice(start, end)
}

const isBlank = (char: string | undefined) => char === ' ' || char === '\t'

/** `text/plain; charset=utf-8 (a comment)`: the value in lower case, and the parameters, the first of each name. */
export interface StructuredValue {
  value: string
  params: ReadonlyMap<string, string>
}

export function parseStructured(text = ''): StructuredValue {
  const [first, ...rest] = splitSegments(text)
  const params = new Map<string, string>()
  for (const segment of rest) {
    const equals = segment.indexOf('=')
    const name = trimBlanks(equals < 0 ? segment : segment.slice(0, equals)).toLowerCase()
    if (name && !params.has(name)) params.set(name, equals < 0 ? '' : unquote(trimBlanks(segment.slice(equals + 1))))
  }
  return { value: trimBlanks(first!).toLowerCase(), params }
}

/** Splits at semicolons, keeps quotes and removes comments. A parenthesis within a word, as in `Invoice(1).pdf`, starts no comment. */
export function splitSegments(text: string): string[] {
  const segments = ['']
  let [depth, quoted, escaped, last] = [0, false, false, ' ']
  for (const char of text) {
    if (escaped) escaped = false
    else if (char === '\\' && (quoted || depth > 0)) escaped = true
    else if (char === '"' && depth === 0) quoted = !quoted
    else if (!quoted && char === '(' && (depth > 0 || segments.length === 1 || isBlank(last))) depth++
    else if (!quoted && char === ')' && depth > 0) {
      depth--
      continue
    } else if (!quoted && char === ';' && depth === 0) {
      segments.push('')
      last = ' '
      continue
    }
    if (depth > 0) continue
    segments[segments.length - 1] += char
    last = char
  }
  return segments
}

const unquote = (text: string) => /^"((?:\\.|[^"\\])*)/s.exec(text)?.[1]!.replace(/\\(.)/gs, '$1') ?? text

/** A parameter by RFC 2231: possibly in pieces, and in any character set. */
export function decodeParameter(params: ReadonlyMap<string, string>, name: string): string | undefined {
  const whole = params.get(`${name}*`)
  const pieces = whole === undefined ? continuationsOf(params, name) : [{ text: whole, encoded: true }]
  if (pieces.length === 0) return params.get(name)
  let charset: string | undefined
  const [first] = pieces
  const tagged = first!.encoded && /^([^']*)'[^']*'/.exec(first!.text)
  if (tagged) {
    charset = tagged[1]!
    first!.text = first!.text.slice(tagged[0].length)
  }
  return decodeText(
    Buffer.concat(pieces.map(({ text, encoded }) => (encoded ? percentDecode(text) : Buffer.from(text)))),
    charset,
  )
}

function continuationsOf(params: ReadonlyMap<string, string>, name: string): { text: string; encoded: boolean }[] {
  const pieces: { text: string; encoded: boolean }[] = []
  for (let n = 0; ; n++) {
    const encoded = params.get(`${name}*${n}*`)
    const text = encoded ?? params.get(`${name}*${n}`)
    if (text === undefined) return pieces
    pieces.push({ text, encoded: encoded !== undefined })
  }
}

const percentDecode = (text: string) =>
  Buffer.from(
    text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  )
