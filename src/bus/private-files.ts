import { chmodSync, closeSync, mkdirSync, openSync, readdirSync, type Stats, statSync } from 'node:fs'
import { join } from 'node:path'

/* What a log holds is for its owner: folders are 0700 and files 0600, whatever the umask of the process is. */

export const privateFolder = 0o700
export const privateFile = 0o600
const accessOfOthers = 0o077

/** Makes the folder, and those above it, where they are not there. */
export function makePrivateFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: privateFolder })
}

/** Makes an empty file where there is none, for a library that would make it readable by all. */
export function makePrivateFile(path: string): void {
  closeSync(openSync(path, 'a', privateFile))
}

/** Takes the rights of others from what an earlier version made: from `names` in the folder, and all that is below them. */
export function restrictFolder(folder: string, names: readonly string[]): void {
  for (const name of names) restrictTree(join(folder, name))
  // It may hold what is not ours: that is for somebody else to decide.
  if (readdirSync(folder).every(name => names.includes(name))) restrictOne(folder, statSync(folder))
}

function restrictTree(path: string): void {
  const found = statSync(path, { throwIfNoEntry: false })
  if (!found) return
  if (found.isDirectory()) for (const name of readdirSync(path)) restrictTree(join(path, name))
  restrictOne(path, found)
}

function restrictOne(path: string, found: Stats): void {
  // Of somebody else's nothing can be changed; a volume may be given to this process by its group.
  if ((found.mode & accessOfOthers) !== 0 && found.uid === process.geteuid?.())
    chmodSync(path, found.mode & ~accessOfOthers & 0o777)
}

/** Whether anybody but the owner may do anything with it. */
export const isOpenToOthers = (path: string) =>
  ((statSync(path, { throwIfNoEntry: false })?.mode ?? 0) & accessOfOthers) !== 0
