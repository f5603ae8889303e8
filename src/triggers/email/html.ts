const hidden = /^<(head|script|style)\b/i
const breaking = /^<\/?(p|div|br|li|tr|h[1-6]|table|ul|ol|blockquote|hr)\b/i
const entities: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: ' ' }
const entity = /^&(?:#(\d{1,7})|#x([\da-f]{1,6})|([a-z]{2,5}));/i

/**
 * The text that a reader of the HTML sees, roughly; for mails that bring no text of their own. In time and memory in
 * proportion to the HTML.
 */
export function textOf(html: string): string {
  const text = new Text(html.length)
  for (let at = 0; at < html.length; ) {
    const char = html[at]
    if (char === '<') {
      const tag = html.slice(at, at + 16)
      const end = closing(html, at, hidden.exec(tag)?.[1])
      if (end < 0) break
      if (breaking.test(tag)) text.breakLine()
      at = end
    } else {
      const match = char === '&' && entity.exec(html.slice(at, at + 12))
      if (match) text.add(meant(match))
      else text.put(html.charCodeAt(at))
      at += match ? match[0].length : 1
    }
  }
  return text.toString()
}

/** Where the tag ends, or with a name the element; -1 when it does not. */
function closing(html: string, open: number, element: string | undefined): number {
  if (!element) return html.indexOf('>', open) + 1 || -1
  const end = new RegExp(`</${element}\\b`, 'gi')
  end.lastIndex = open
  const match = end.exec(html)
  return match ? html.indexOf('>', match.index) + 1 || -1 : -1
}

function meant([whole, decimal, hex, name]: RegExpExecArray): string {
  if (name) return entities[name.toLowerCase()] ?? whole
  const code = decimal ? Number(decimal) : Number.parseInt(hex!, 16)
  return code <= 0x10ffff ? String.fromCodePoint(code).toWellFormed() : whole
}

/** Text with one blank, or one end of line, where there are several. No longer than it was made for. */
class Text {
  readonly #units: Uint16Array
  #length = 0
  #gap: ' ' | '\n' | undefined

  constructor(length: number) {
    this.#units = new Uint16Array(length)
  }

  add(text: string): void {
    for (let at = 0; at < text.length; at++) this.put(text.charCodeAt(at))
  }

  /** A unit of UTF-16. */
  put(unit: number): void {
    if (isBlank(unit)) {
      this.#gap ??= ' '
      return
    }
    if (this.#gap && this.#length > 0) this.#units[this.#length++] = this.#gap.charCodeAt(0)
    this.#gap = undefined
    this.#units[this.#length++] = unit
  }

  breakLine(): void {
    this.#gap = '\n'
  }

  toString(): string {
    return Buffer.from(this.#units.buffer, 0, this.#length * 2).toString('utf16le')
  }
}

// A space that does not break and a mark of byte order are blanks of another kind.
const isBlank = (unit: number) => unit <= 32 || unit === 0xa0 || unit === 0xfeff
