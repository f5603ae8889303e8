import { TidingsError } from '../../errors.ts'

/*
 * A mail as lines. A bare CR or LF is rejected, because it can smuggle a second mail past a server that splits lines
 * differently. Later steps work on lines, whose number is bounded.
 */

const maxLines = (bytes: number) => 100_000 + bytes / 64
const maxHeaderBytes = 256 * 1024

export const malformed = (why: string) => new TidingsError('E_MAIL_REFUSED', `the mail is malformed: ${why}`)

export class MailLines {
  readonly bytes: Buffer
  readonly #starts: readonly number[]
  #headerBytes = 0

  /** @throws E_MAIL_REFUSED */
  constructor(bytes: Buffer) {
    if (bytes.includes(0)) throw malformed('it contains a NUL byte')
    const starts = bytes.length > 0 ? [0] : []
    for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) {
      if (bytes[at - 1] !== 13) throw malformed('it contains a bare line feed')
      if (starts.length > maxLines(bytes.length)) throw malformed('it has too many lines')
      if (at + 1 < bytes.length) starts.push(at + 1)
    }
    for (let at = bytes.indexOf(13); at >= 0; at = bytes.indexOf(13, at + 1))
      if (bytes[at + 1] !== 10) throw malformed('it contains a bare carriage return')
    this.bytes = bytes
    this.#starts = starts
  }

  get count(): number {
    return this.#starts.length
  }

  /** The offset of a line; after the last line, the end of the mail. */
  start(line: number): number {
    return this.#starts[line] ?? this.bytes.length
  }

  isEmpty(line: number): boolean {
    return this.bytes[this.start(line)] === 13
  }

  /** Whether the line is `mark`, possibly followed by blanks; `closing` with two dashes after the mark. */
  delimits(line: number, mark: Buffer): 'open' | 'closing' | undefined {
    const start = this.start(line)
    const { bytes } = this
    if (bytes[start] !== 45 || bytes[start + 1] !== 45) return undefined
    let at = start + mark.length
    if (!bytes.subarray(start, at).equals(mark)) return undefined
    const isClosing = bytes[at] === 45 && bytes[at + 1] === 45
    if (isClosing) at += 2
    while (bytes[at] === 32 || bytes[at] === 9) at++
    if (at < bytes.length && bytes[at] !== 13) return undefined
    return isClosing ? 'closing' : 'open'
  }

  /** The lines of a header, up to an empty line. @throws E_MAIL_REFUSED if all headers together are too large */
  header(from: number, to: number): { lines: string[]; end: number } {
    let end = from
    while (end < to && !this.isEmpty(end)) end++
    const section = this.bytes.subarray(this.start(from), this.start(end))
    this.#headerBytes += section.length
    if (this.#headerBytes > maxHeaderBytes) throw malformed('its headers are too large')
    return { lines: Array.from({ length: end - from }, (_, i) => this.#textOf(from + i)), end }
  }

  /** A header line without its line end: UTF-8 (RFC 6532), else windows-1252. */
  #textOf(line: number): string {
    const [start, end] = [this.start(line), this.start(line + 1)]
    const bytes = this.bytes.subarray(start, this.bytes[end - 1] === 10 ? end - 2 : end)
    try {
      return utf8.decode(bytes)
    } catch {
      return windows1252.decode(bytes)
    }
  }
}

// Removing a byte order mark could turn another line into a header.
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true })
const windows1252 = new TextDecoder('windows-1252')
