import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { makePrivateFile } from '../../bus/private-files.ts'
import { TidingsError } from '../../errors.ts'

/*
 * The high-water mark: a file beside the log that names the log and the newest position that was acknowledged. It reveals a log
 * that was emptied, replaced or lost its write-ahead log, which SQLite accepts as sound.
 */

interface MarkContent {
  readonly log: number
  /** Newest position that was acknowledged. */
  readonly head: number
}

const width = 16
const encodeMark = ({ log, head }: MarkContent) =>
  `{"log":${String(log).padStart(width)},"head":${String(head).padStart(width)}}\n`

const markFile = (home: string) => join(home, 'log.mark')

/** Undefined if there is none, as beside a log of an earlier version, or if a power failure cut it. */
export function readMark(home: string): MarkContent | undefined {
  try {
    const { log, head } = JSON.parse(readFileSync(markFile(home), 'utf8')) as Partial<MarkContent>
    return typeof log === 'number' && typeof head === 'number' ? { log, head } : undefined
  } catch {
    return undefined
  }
}

/** `found`: the log in the home now, or undefined for none. @throws E_LOG_INCOMPLETE */
export function assertComplete(home: string, mark: MarkContent | undefined, found: MarkContent | undefined): void {
  if (!mark) return
  if (!found) throw incomplete(home, 'its log is missing or empty')
  if (found.log !== mark.log) throw incomplete(home, 'its log was replaced by another one')
  if (found.head < mark.head)
    throw incomplete(home, `its log ends at ${found.head}, but events up to ${mark.head} were acknowledged`)
}

const incomplete = (home: string, reason: string) =>
  new TidingsError(
    'E_LOG_INCOMPLETE',
    `the log in "${home}" is incomplete: ${reason}. To continue with what is there, delete "${markFile(home)}"`,
  )

/** Writes the mark of an open log. It is not synced: after a power failure an older mark only claims less. */
export class LogMark {
  readonly #file: number
  readonly #log: number

  constructor(home: string, log: number) {
    makePrivateFile(markFile(home))
    this.#file = openSync(markFile(home), 'r+')
    this.#log = log
  }

  write(head: number): void {
    try {
      writeSync(this.#file, encodeMark({ log: this.#log, head }), 0)
    } catch {
      // The transaction is committed even if the mark cannot be written.
    }
  }

  close(): void {
    closeSync(this.#file)
  }
}
