/*
 * Parses JSON text from outside. JSON.parse silently rounds numbers that a JavaScript number cannot represent, so that a
 * 64-bit id becomes another id. Such a number becomes the text that was sent. The rule is in `docs/values.md`.
 */

/** Parses a JSON text. A number that would be rounded becomes its text. @throws SyntaxError */
export function parseExactly(text: string): unknown {
  const value: unknown = JSON.parse(text)
  if (!mayRound.test(text)) return value
  const quoted = withQuotes(text)
  return quoted === text ? value : JSON.parse(quoted)
}

/** 15 digits are always exact, unless the exponent is out of range. */
const mayRound = /(?:\d\.?){16}|\d[eE]/
const exactLength = 15
// More digits than toPrecision returns.
const maxDigits = 100

/** The same JSON with quotes around the numbers that would be rounded. */
function withQuotes(json: string): string {
  const pieces: string[] = []
  let done = 0
  for (let at = 0; at < json.length; at++) {
    const unit = json.charCodeAt(at)
    if (unit === quote) at = endOfString(json, at)
    else if (isDigit(unit) || unit === minus) {
      const end = endOfNumber(json, at)
      const source = json.slice(at, end)
      if ((source.length > exactLength || /e/i.test(source)) && !isExact(source)) {
        pieces.push(json.slice(done, at), '"', source, '"')
        done = end
      }
      at = end - 1
    }
  }
  return done === 0 ? json : pieces.join('') + json.slice(done)
}

const [quote, backslash, minus] = [34, 92, 45]
const isDigit = (unit: number) => unit >= 48 && unit <= 57

/** Index of the quote that ends the string that begins here. */
function endOfString(json: string, start: number): number {
  let end = start + 1
  while (json.charCodeAt(end) !== quote) end += json.charCodeAt(end) === backslash ? 2 : 1
  return end
}

function endOfNumber(json: string, start: number): number {
  let end = start + 1
  // Digits, a point, an exponent and its sign.
  while (isDigit(json.charCodeAt(end)) || '.eE+-'.includes(json.charAt(end) || ' ')) end++
  return end
}

/**
 * Whether JavaScript represents the number exactly. A fraction may have more digits than JavaScript writes if they denote the
 * same double: other languages write 0.10000000000000001.
 */
function isExact(source: string): boolean {
  const value = Number(source)
  const text = String(value)
  if (text === source) return true
  const sent = decimalOf(source)
  if (sent.count === 0) return true
  if (!Number.isFinite(value) || value === 0 || sent.count > maxDigits) return false
  return (
    isSame(decimalOf(text), sent) || (/[.e]/i.test(source) && isSame(decimalOf(value.toPrecision(sent.count)), sent))
  )
}

/** 0.DIGITS × 10^EXPONENT, without outer zeros. `count`: number of digits from the first that is not zero. */
interface Decimal {
  readonly digits: string
  readonly exponent: number
  readonly count: number
}

const isSame = (a: Decimal, b: Decimal) => a.digits === b.digits && a.exponent === b.exponent

function decimalOf(text: string): Decimal {
  const [, whole = '', fraction = '', power = '0'] = /^-?(\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/i.exec(text) ?? []
  const all = whole + fraction
  const first = all.search(/[1-9]/)
  if (first < 0) return { digits: '', exponent: 0, count: 0 }
  let end = all.length
  while (all[end - 1] === '0') end--
  return { digits: all.slice(first, end), exponent: whole.length - first + Number(power), count: all.length - first }
}
