import type { Redactor } from './redact.ts'

/*
 * Redacts text that arrives in chunks. A chunk may end inside a secret, so the text that may begin one is buffered: the
 * last word with the key or prefix before it, and a PEM key up to its end.
 */

// A declared pattern may match any text. A match that is longer than this may be cut.
const maxPatternChars = 256
const maxBufferedChars = 16 * 1024
const keptChars = 1024

// A secret is one word of these characters. A password in a URL may contain others, but no blanks or quotes.
const narrow = /[!#-&(-+\--;=?-_a-z|~]/
const wide = /[^\s"'<>`{},]/
const scheme = /:\\?\/\\?\//
const announced = /(?:(?:bearer|basic|authorization|authtoken|access[_-]?key)["'\\\s:=]{1,16}){1,2}$/i
const maxLookbehindChars = 128
const pemEnd = /-----END [A-Z0-9 ]{0,64}-----/

/** Writes the redacted text, delayed by about a word. `write` also gets the length of the text before redaction. */
export class StreamRedactor {
  readonly #redactor: Redactor
  readonly #write: (text: string, length: number) => void
  #buffer = ''
  /** Length of the middle of a long secret, which was left out of the buffer. */
  #leftOut = 0

  constructor(redactor: Redactor, write: (text: string, length: number) => void) {
    this.#redactor = redactor
    this.#write = write
  }

  push(text: string) {
    this.#buffer += text
    this.#release(this.#safeLength())
    if (this.#buffer.length <= maxBufferedChars) return
    // A longer secret is recognised by its two ends. Other text is released, except its end, which may begin a secret.
    const isSecret = this.#redactor.text(this.#buffer) !== this.#buffer
    if (isSecret) {
      this.#leftOut += this.#buffer.length - 2 * keptChars
      this.#buffer = this.#buffer.slice(0, keptChars) + this.#buffer.slice(-keptChars)
    } else this.#release(this.#buffer.length - keptChars)
  }

  end() {
    const rest = this.#redactor.text(this.#buffer)
    if (rest !== '') this.#emit(rest, this.#buffer.length)
    this.#buffer = ''
  }

  /** Length of the buffered text that no further text can turn into a secret. */
  #safeLength(): number {
    const held = this.#buffer
    let sure = lastWord(held, narrow)
    const url = lastWord(held, wide)
    if (scheme.test(held.slice(url))) sure = url
    const before = announced.exec(held.slice(Math.max(0, sure - maxLookbehindChars), sure))
    if (before) sure = lastWord(held.slice(0, sure - before[0].length), narrow)
    const pem = held.lastIndexOf('-----BEGIN ')
    if (pem >= 0 && !pemEnd.test(held.slice(pem))) sure = Math.min(sure, pem)
    return this.#redactor.hasPatterns ? Math.min(sure, Math.max(0, held.length - maxPatternChars)) : sure
  }

  #release(length: number) {
    if (length <= 0) return
    const [front, rest] = [this.#buffer.slice(0, length), this.#buffer.slice(length)]
    const redacted = this.#redactor.text(front)
    // A secret spans the cut.
    if (redacted + this.#redactor.text(rest) !== this.#redactor.text(this.#buffer)) return
    this.#buffer = rest
    this.#emit(redacted, length)
  }

  #emit(text: string, length: number) {
    this.#write(text, length + this.#leftOut)
    this.#leftOut = 0
  }
}

/** Index where the last word begins: the run of characters of this kind at the end of the text. */
function lastWord(text: string, kind: RegExp): number {
  let at = text.length
  while (at > 0 && kind.test(text[at - 1]!)) at--
  return at
}
