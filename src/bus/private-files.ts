import { chmodSync, closeSync, mkdirSync, openSync, readdirSync, type Stats, statSync } from 'node:fs'
import { join } from 'node:path'

/* Only the owner may read a log: folders have mode 0700 and files 0600, independently of the umask. */

export const privateFolder = 0o700
export const privateFile = 0o600
const accessOfOthers = 0o077

/** Creates the folder and its parents if they do not exist. */
export function makePrivateFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: privateFolder })
}

/** Creates an empty file if there is none, because a library would make it readable by all. */
export function makePrivateFile(path: string): void {
  closeSync(openSync(path, 'a', privateFile))
}

/** Removes the access of other users from `names` in the folder, recursively: earlier versions granted it. */
export function restrictFolder(folder: string, names: readonly string[]): void {
  for (const name of names) restrictTree(join(folder, name))
  // A folder with other files in it may belong to someone else, so it is left alone.
  if (readdirSync(folder).every(name => names.includes(name))) restrictOne(folder, statSync(folder))
}

function restrictTree(path: string): void {
  const found = statSync(path, { throwIfNoEntry: false })
  if (!found) return
  if (found.isDirectory()) for (const name of readdirSync(path)) restrictTree(join(path, name))
  restrictOne(path, found)
}

function restrictOne(path: string, found: Stats): void {
  // Only the owner can change the mode. A volume may be accessible by group only.
  if ((found.mode & accessOfOthers) !== 0 && found.uid === process.geteuid?.())
    chmodSync(path, found.mode & ~accessOfOthers & 0o777)
}

/** Whether other users have any access. */
export const isOpenToOthers = (path: string) =>
  ((statSync(path, { throwIfNoEntry: false })?.mode ?? 0) & accessOfOthers) !== 0
