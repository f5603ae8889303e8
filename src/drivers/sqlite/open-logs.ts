import { hash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { privateFile, privateFolder } from '../../bus/private-files.ts'
import { TidingsError } from '../../errors.ts'
import { type FileId, fileId, isSameFile } from './open-files.ts'
import { hostId, startTimeOf } from '../../bus/processes.ts'
import { logFile } from './schema.ts'

/*
 * Notes in the temporary folder say which processes of this machine have which log open. They are not kept in the home of the log,
 * because a log that replaces a removed one knows nothing of the processes that still write to the old one.
 */

interface OpenLogNote extends FileId {
  readonly pid: number
  readonly started: string
  readonly host: string
}

/** Each user has a folder. */
const notesFolder = (uid = process.geteuid?.()) => join(tmpdir(), `tidings-${uid ?? 'user'}`)
const notePrefix = (home: string) => hash('sha256', resolve(home), 'hex').slice(0, 32)
let noteCount = 0

/** @throws E_LOG_REPLACED if a living process has a log of this home open that is not the one stored there now */
export function assertNoOtherLogOpen(home: string): void {
  const current = fileId(logFile(home))
  for (const { path, note } of notesOn(home)) {
    if (note.host !== hostId) continue
    if (startTimeOf(note.pid) !== note.started) rmSync(path, { force: true })
    else if (!isSameFile(note, current))
      throw new TidingsError(
        'E_LOG_REPLACED',
        `the log in "${home}" was removed or replaced while process ${note.pid} had it open; stop that process first`,
      )
  }
}

/** Notes that this process has the log open. Returns a function that removes the note. */
export function registerOpenLog(home: string): () => void {
  const current = fileId(logFile(home))
  const started = startTimeOf(process.pid)
  if (!current || !isOwnFolder()) return () => {}
  const path = join(notesFolder(), `${notePrefix(home)}.${process.pid}.${++noteCount}`)
  const note: OpenLogNote = { ...current, pid: process.pid, started, host: hostId }
  writeFileSync(path, JSON.stringify(note), { mode: privateFile })
  return () => rmSync(path, { force: true })
}

function notesOn(home: string): { path: string; note: OpenLogNote }[] {
  if (!isOwnFolder()) return []
  const prefix = notePrefix(home)
  const folder = notesFolder()
  return readdirSync(folder)
    .filter(name => name.startsWith(prefix))
    .flatMap(name => {
      const path = join(folder, name)
      try {
        return [{ path, note: JSON.parse(readFileSync(path, 'utf8')) as OpenLogNote }]
      } catch {
        return [] // It was removed just now.
      }
    })
}

/** False if another user created the folder or may write to it; notes are then neither written nor trusted. */
function isOwnFolder(): boolean {
  try {
    const folder = notesFolder()
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
