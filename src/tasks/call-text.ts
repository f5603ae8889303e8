import type { TextDelta, TextPiece } from './text-delta.ts'

/** How much of the text of a call a reader has: an attempt, and its text up to an offset. */
export interface TextPosition {
  readonly attempt: string
  readonly offset: number
}

/** Before the first attempt. */
export const noText: TextPosition = { attempt: '', offset: 0 }

/** UTF-16 units of one delta. As JSON in UTF-8 they have at most 24 KiB, which every broker takes. */
const maxLength = 4_096

/** The text of one call so far. Deltas may be lost, repeated and reordered: each is taken once and in order, or not at all. */
export class CallText {
  #attempt = noText.attempt
  #offset = noText.offset
  /** In the order in which they came. Small neighbours of one part are joined. */
  #pieces: TextPiece[] = []

  get position(): TextPosition {
    return { attempt: this.#attempt, offset: this.#offset }
  }

  /**
   * Adds what is new in a delta. A later attempt replaces the text of an earlier one. `known`: nothing is new. `gap`: deltas before this one
   * are missing, and it was not added.
   */
  add({ attempt, offset, ...piece }: TextDelta): 'added' | 'known' | 'gap' {
    if (attempt < this.#attempt) return 'known'
    if (attempt > this.#attempt) {
      this.#attempt = attempt
      this.#offset = 0
      this.#pieces = []
    }
    if (offset > this.#offset) return 'gap'
    const text = piece.text.slice(this.#offset - offset)
    if (text === '') return 'known'
    this.#offset += text.length
    const last = this.#pieces.at(-1)
    const isNext = last?.part === piece.part && last.text.length + text.length <= maxLength
    if (isNext) this.#pieces[this.#pieces.length - 1] = { ...last, text: last.text + text }
    else for (const each of split(text)) this.#pieces.push({ ...piece, text: each })
    return 'added'
  }

  /** What came after a position; everything if it is of another attempt. */
  after({ attempt, offset }: TextPosition): TextDelta[] {
    const from = attempt === this.#attempt ? offset : 0
    const deltas: TextDelta[] = []
    let end = this.#offset
    for (let i = this.#pieces.length - 1; i >= 0 && end > from; i--) {
      const piece = this.#pieces[i]!
      const begin = end - piece.text.length
      const at = Math.max(begin, from)
      deltas.push({ attempt: this.#attempt, offset: at, ...piece, text: piece.text.slice(at - begin) })
      end = begin
    }
    return deltas.reverse()
  }

  /** The parts in their order, each with its text so far. */
  get parts(): TextPiece[] {
    const parts = new Map<number, TextPiece>()
    for (const piece of this.#pieces) {
      const known = parts.get(piece.part)
      parts.set(piece.part, known ? { ...known, text: known.text + piece.text } : piece)
    }
    return [...parts.values()].toSorted((a, b) => a.part - b.part)
  }
}

/** Does not separate the halves of a character. */
function* split(text: string): Generator<string> {
  for (let at = 0; at < text.length; ) {
    const end = at + maxLength
    const isHalf = end < text.length && text.codePointAt(end - 1)! > 0xffff
    yield text.slice(at, isHalf ? end - 1 : end)
    at = isHalf ? end - 1 : end
  }
}
