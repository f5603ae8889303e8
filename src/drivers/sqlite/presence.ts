import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { hash } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { privateFile, privateFolder } from '../../bus/private-files.ts'
import { TidingsError } from '../../errors.ts'
import { type FileId, fileId, isSame } from './in-place.ts'
import { host, startOf } from './processes.ts'
import { logFile } from './schema.ts'

/*
 * Which processes of this machine have the log of a folder open, written down outside of it: a log that is made in the place of one
 * that was removed knows nothing of those that still write to the old one.
 */

interface Note extends FileId {
  readonly pid: number
  readonly started: string
  readonly host: string
}

/** Of the user that this process acts for. */
const folderOf = (uid = process.geteuid?.()) => join(tmpdir(), `tidings-${uid ?? 'user'}`)
const nameFor = (home: string) => hash('sha256', resolve(home), 'hex').slice(0, 32)
let notes = 0

/** @throws E_LOG_REPLACED where a process that is alive has another log open than the one that lies there, or none does */
export function assertNobodyHasAnother(home: string): void {
  const here = fileId(logFile(home))
  for (const { path, note } of notesOn(home)) {
    if (note.host !== host) continue
    if (startOf(note.pid) !== note.started) rmSync(path, { force: true })
    else if (!isSame(note, here))
      throw new TidingsError(
        'E_LOG_REPLACED',
        `process ${note.pid} still has the log open that was in ${home} before it was removed or replaced; stop it first`,
      )
  }
}

/** Says that this process has the log open that lies there. Returns how to take that back. */
export function announce(home: string): () => void {
  const here = fileId(logFile(home))
  const started = startOf(process.pid)
  if (!here || !isOurs()) return () => {}
  const path = join(folderOf(), `${nameFor(home)}.${process.pid}.${++notes}`)
  const note: Note = { ...here, pid: process.pid, started, host }
  writeFileSync(path, JSON.stringify(note), { mode: privateFile })
  return () => rmSync(path, { force: true })
}

function notesOn(home: string): { path: string; note: Note }[] {
  if (!isOurs()) return []
  const name = nameFor(home)
  const folder = folderOf()
  return readdirSync(folder)
    .filter(each => each.startsWith(name))
    .flatMap(each => {
      const path = join(folder, each)
      try {
        return [{ path, note: JSON.parse(readFileSync(path, 'utf8')) as Note }]
      } catch {
        return [] // It was taken back just now.
      }
    })
}

/** A folder of that name may be somebody else's: then nothing is written, and nothing believed. */
function isOurs(): boolean {
  try {
    const folder = folderOf()
    mkdirSync(folder, { recursive: true, mode: privateFolder })
    const found = statSync(folder)
    return (
      found.isDirectory() &&
      (process.geteuid === undefined || found.uid === process.geteuid()) &&
      (found.mode & 0o022) === 0
    )
  } catch {
    return false
  }
}
