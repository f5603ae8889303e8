import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { makePrivateFile } from '../../bus/private-files.ts'
import { TidingsError } from '../../errors.ts'

/*
 * A file beside the log that says which log it is and up to where it was acknowledged. A log that was emptied, replaced by
 * another one, or lost its write-ahead log is sound as far as SQLite can tell; the mark knows better.
 */

interface Marked {
  /** Made at random with the log. */
  readonly log: number
  /** Newest position that was acknowledged. */
  readonly head: number
}

const width = 16
const textOf = ({ log, head }: Marked) =>
  `{"log":${String(log).padStart(width)},"head":${String(head).padStart(width)}}\n`

const markFile = (home: string) => join(home, 'log.mark')

/** Undefined where there is none, as beside a log of an earlier version, and where a power cut left half of one. */
export function readMark(home: string): Marked | undefined {
  try {
    const { log, head } = JSON.parse(readFileSync(markFile(home), 'utf8')) as Partial<Marked>
    return typeof log === 'number' && typeof head === 'number' ? { log, head } : undefined
  } catch {
    return undefined
  }
}

/** `found`: the log that lies there now, undefined for none. @throws E_LOG_INCOMPLETE */
export function assertComplete(home: string, mark: Marked | undefined, found: Marked | undefined): void {
  if (!mark) return
  if (!found) throw incomplete(home, 'has no log any more, or an empty file in its place')
  if (found.log !== mark.log) throw incomplete(home, 'holds another log than it did')
  if (found.head < mark.head)
    throw incomplete(home, `has a log that ends at ${found.head}; it was acknowledged up to ${mark.head}`)
}

const incomplete = (home: string, what: string) =>
  new TidingsError('E_LOG_INCOMPLETE', `${home} ${what}. To go on with what is there, delete ${markFile(home)}`)

/** Writes the mark of a log that is open. It is not synced: after a power cut an older one says less, and nothing wrong. */
export class Mark {
  readonly #file: number
  readonly #log: number

  constructor(home: string, log: number) {
    makePrivateFile(markFile(home))
    this.#file = openSync(markFile(home), 'r+')
    this.#log = log
  }

  write(head: number): void {
    try {
      writeSync(this.#file, textOf({ log: this.#log, head }), 0)
    } catch {
      // What was committed is committed, whether the mark says so or not.
    }
  }

  close(): void {
    closeSync(this.#file)
  }
}
