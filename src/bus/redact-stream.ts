import type { Redactor } from './redact.ts'

/*
 * Text that comes in pieces. A secret may be cut anywhere, so what may be the beginning of one is held back until it is
 * seen what it is: the word at the end with what announces it, and a key in PEM to its end.
 */

// What is declared may look like anything: of it at most so many characters are seen whole.
const maxPatternChars = 256
const maxBufferedChars = 16 * 1024
const keptChars = 1024

// A secret is one word of these characters. Only a password within a URL may hold others, but no blank and no quote.
const narrow = /[!#-&(-+\--;=?-_a-z|~]/
const wide = /[^\s"'<>`{},]/
const scheme = /:\\?\/\\?\//
const announced = /(?:(?:bearer|basic|authorization|authtoken|access[_-]?key)["'\\\s:=]{1,16}){1,2}$/i
const maxLookbehindChars = 128
const pemEnd = /-----END [A-Z0-9 ]{0,64}-----/

/** Says the text that it is given, redacted, a word or so later. */
export class StreamRedactor {
  readonly #redactor: Redactor
  readonly #write: (text: string) => void
  #buffer = ''

  constructor(redactor: Redactor, say: (text: string) => void) {
    this.#redactor = redactor
    this.#write = say
  }

  push(text: string) {
    this.#buffer += text
    this.#release(this.#safeLength())
    if (this.#buffer.length <= maxBufferedChars) return
    // Of a secret that is longer only the ends matter; of anything else, only what may yet become one.
    const isSecret = this.#redactor.text(this.#buffer) !== this.#buffer
    if (isSecret) this.#buffer = this.#buffer.slice(0, keptChars) + this.#buffer.slice(-keptChars)
    else this.#release(this.#buffer.length - keptChars)
  }

  /** Nothing more comes. */
  end() {
    const rest = this.#redactor.text(this.#buffer)
    this.#buffer = ''
    if (rest !== '') this.#write(rest)
  }

  /** How much of what is held no further text can make a secret of. */
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
    // A secret reaches over the cut.
    if (redacted + this.#redactor.text(rest) !== this.#redactor.text(this.#buffer)) return
    this.#buffer = rest
    this.#write(redacted)
  }
}

/** Where the characters of this kind begin with which the text ends. */
function lastWord(text: string, kind: RegExp): number {
  let at = text.length
  while (at > 0 && kind.test(text[at - 1]!)) at--
  return at
}
