import { hash } from 'node:crypto'
import { closeSync, openSync, readdirSync, readFileSync, rmSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { makePrivateFolder, privateFile } from '../bus/private-files.ts'
import { hostId, startTimeOf } from '../bus/processes.ts'
import type { TapInstance } from './instances.ts'

/*
 * The calls of a process that are not on the log yet, in a file: what was written to a file survives `kill -9`. The next process of the tap on this
 * machine reads it, and reports the calls that the log lacks.
 *
 *     reports, given up  │  number of a call, or 0  │  number of a call, or 0  │ …          eight bytes each
 */

const wordBytes = 8
const headerWords = 2
const host = hash('sha256', hostId).slice(0, 8)

/** What a process left that has died. */
interface LeftCalls {
  /** Numbers of calls that had begun, and whose request it did not see on the log. */
  readonly open: readonly number[]
  /** Calls that were given up since the last report. */
  readonly missed: number
  /** How many reports it had published. */
  readonly reports: number
  readonly since: Date
  readonly until: Date
}

/** The file of this process. Where none can be written, nothing is kept. */
export class UnrecordedCalls {
  readonly #path: string
  readonly #places = new Map<number, number>()
  readonly #free: number[] = []
  #words = new Float64Array(64)
  #end = headerWords
  #file: number | undefined

  constructor(folder: string, instance: TapInstance) {
    this.#path = join(folder, nameOf(instance, process.pid, startTimeOf(process.pid)))
    this.#try(() => {
      makePrivateFolder(folder)
      this.#file = openSync(this.#path, 'wx', privateFile)
    })
  }

  add(call: number): void {
    const place = this.#free.pop() ?? this.#end++
    if (this.#end > this.#words.length) this.#words = grown(this.#words)
    this.#places.set(call, place)
    this.#words[place] = call
    this.#write(place, place + 1)
  }

  /** It is on the log. */
  remove(call: number): void {
    const place = this.#clear(call)
    if (place !== undefined) this.#write(place, place + 1)
  }

  /** It is given up. `unreported`: how many are, and are in no report on the log. */
  miss(call: number, unreported: number): void {
    const place = this.#clear(call)
    this.#words[1] = unreported
    // In one piece, so that no call is counted twice.
    this.#write(0, place === undefined ? headerWords : place + 1)
  }

  reported(reports: number, unreported: number): void {
    this.#words.set([reports, unreported])
    this.#write(0, headerWords)
  }

  /** The file stays if there is something in it for the next process. */
  close(): void {
    if (this.#file === undefined) return
    const isEmpty = this.#places.size === 0 && this.#words[1] === 0
    this.#try(() => closeSync(this.#file!))
    this.#file = undefined
    if (isEmpty) this.#try(() => rmSync(this.#path))
  }

  #clear(call: number): number | undefined {
    const place = this.#places.get(call)
    if (place === undefined) return undefined
    this.#places.delete(call)
    this.#free.push(place)
    this.#words[place] = 0
    return place
  }

  #write(from: number, to: number): void {
    const file = this.#file
    const bytes = (to - from) * wordBytes
    if (file !== undefined)
      this.#try(() =>
        writeSync(file, new Uint8Array(this.#words.buffer, from * wordBytes, bytes), 0, bytes, from * wordBytes),
      )
  }

  /** A full disk must not stop a call. */
  #try(work: () => void): void {
    try {
      work()
    } catch {
      this.#file = undefined
    }
  }
}

function grown(words: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(2 * words.length)
  larger.set(words)
  return larger
}

/** The processes of a tap that have died on this machine, and left something. */
export function processesThatLeftCalls(folder: string, tap: string): string[] {
  return filesIn(folder)
    .map(name => name.split(','))
    .filter(([name, , pid, started, on]) => name === tap && on === host && startTimeOf(Number(pid)) !== started)
    .map(([, id = '']) => id)
}

/** Undefined if the process left nothing, still runs, or ran on another machine. */
export function readLeftCalls(folder: string, { tap, id }: TapInstance): LeftCalls | undefined {
  if (!processesThatLeftCalls(folder, tap).includes(id)) return undefined
  const path = pathOf(folder, { tap, id })
  if (path === undefined) return undefined
  const bytes = readFileSync(path)
  const words = new Float64Array(Math.max(headerWords, Math.floor(bytes.length / wordBytes)))
  new Uint8Array(words.buffer).set(bytes.subarray(0, words.byteLength))
  const { birthtime: since, mtime: until } = statSync(path)
  const [reports = 0, missed = 0, ...calls] = words
  return { open: calls.filter(call => call > 0), missed, reports, since, until }
}

export function forgetLeftCalls(folder: string, instance: TapInstance): void {
  const path = pathOf(folder, instance)
  if (path !== undefined) rmSync(path, { force: true })
}

const nameOf = ({ tap, id }: TapInstance, pid: number, started: string) => [tap, id, pid, started, host].join(',')

function pathOf(folder: string, { tap, id }: TapInstance): string | undefined {
  const name = filesIn(folder).find(each => each.startsWith(`${tap},${id},`))
  return name && join(folder, name)
}

function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
