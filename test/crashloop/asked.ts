import { closeSync, fdatasyncSync, openSync, readFileSync, writeSync } from 'node:fs'

/* What was asked for, in a file of its own, a JSON text a line. A line is on disk before anything is published. */

/** One way in which a job may end. */
export type End = { end: 'completed'; output: unknown } | { end: 'failed'; code: string } | { end: 'cancelled' }

/** Work that was published. */
export interface Job {
  kind: 'job'
  /** Id of the event that asks for it. */
  id: string
  /** Which sort of work, for the counts. */
  sort: string
  /** The ways in which it may end. */
  ends: End[]
  /** Its task, where that is cancelled. */
  task?: string
  /** Calls that its correlation may spend. */
  budget?: number
}

/** The publish of the event with this id was acknowledged. */
export interface Accepted {
  kind: 'accepted'
  id: string
}

export type Line = Job | Accepted

export class AskedFile {
  readonly #file: number

  constructor(path: string) {
    this.#file = openSync(path, 'a')
  }

  write(line: Line) {
    writeSync(this.#file, `${JSON.stringify(line)}\n`)
    fdatasyncSync(this.#file)
  }

  close() {
    closeSync(this.#file)
  }
}

export interface Asked {
  jobs: Job[]
  /** Ids of all events whose publish was acknowledged. */
  accepted: ReadonlySet<string>
}

export function readAsked(path: string): Asked {
  const lines = readFileSync(path, 'utf8')
    .trim()
    .split('\n')
    .filter(Boolean)
    .map(text => JSON.parse(text) as Line)
  return {
    jobs: lines.filter(line => line.kind === 'job'),
    accepted: new Set(lines.filter(line => line.kind === 'accepted').map(({ id }) => id)),
  }
}
