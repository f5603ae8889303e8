import { accessSync, constants, type Dirent, readdirSync, statSync } from 'node:fs'
import { extname, join, relative, sep } from 'node:path'

/** A document in the folder; the path is relative to it, with forward slashes. */
export interface DocumentFile {
  readonly path: string
  readonly mtime: number
  readonly size: number
}

const texts = new Set(['.md', '.mdx', '.markdown', '.txt', '.rst'])
const documents = new Set([...texts, '.html', '.htm', '.pdf'])

/** Files of packages that fill an index and answer no question. */
const packageFolders = /^(?:__.*__|tests?|fixtures?|snapshots|coverage|dist|build|vendor|locales)$/i
const packageNames =
  /^(?:licen[cs]es?|copying|notice|third.?party.*|change.?log|changes|history|releases?|authors|contributors|code_of_conduct)\b/i
const translation = /^readme[._-](?!md)[a-z]{2}(?:[_-][a-z]{2,4})?\.\w+$/i
const largest = 32 * 1024 * 1024

export interface Skipped {
  /** A folder ends with a slash. */
  readonly path: string
  readonly reason: string
}

export interface Documents {
  readonly files: readonly DocumentFile[]
  /** Other files of the folder, without the content of installed packages. */
  readonly skipped: readonly Skipped[]
}

/**
 * The documents under a folder: every readable file. In installed packages, and if the folder is a package itself, it skips licences,
 * changelogs, translations, test folders and second copies.
 */
export function documentsIn(
  root: string,
  { without = [], isPackage = false }: { without?: readonly string[]; isPackage?: boolean } = {},
): Documents {
  const found: DocumentFile[] = []
  const skipped: Skipped[] = []
  for (const { file, isFolder, inPackage, reason } of walk(root, new Set(without), isPackage)) {
    const path = relative(root, file).split(sep).join('/')
    if (reason === undefined) {
      const { mtimeMs, size } = statSync(file)
      const problem = size === 0 ? 'empty' : size > largest ? `larger than ${largest / 1024 / 1024} MiB` : undefined
      if (problem === undefined) found.push({ path, mtime: mtimeMs, size })
      else if (!inPackage) skipped.push({ path, reason: problem })
    } else if (!inPackage) skipped.push({ path: isFolder ? `${path}/` : path, reason })
  }
  const paths = new Set(found.map(({ path }) => path))
  const files = found
    .filter(({ path }) => outermost(path) === path || !paths.has(outermost(path)))
    .toSorted((a, b) => (a.path < b.path ? -1 : 1))
  return { files, skipped }
}

/** The top-level path of a package that is installed inside another one. */
const outermost = (path: string) => path.replace(/.*\/(?=node_modules\/)/, '')

interface Entry {
  readonly file: string
  readonly isFolder: boolean
  readonly inPackage: boolean
  /** Why it is skipped. */
  readonly reason?: string
}

function* walk(folder: string, without: ReadonlySet<string>, inPackage: boolean): Generator<Entry> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const file = join(folder, entry.name)
    const isFolder = entry.isDirectory()
    const reason = reasonToSkip(entry, inPackage) ?? (isFolder ? problemOf(file) : undefined)
    if (without.has(file)) continue
    if (reason !== undefined || !isFolder) yield { file, isFolder, inPackage, ...(reason && { reason }) }
    else yield* walk(file, without, inPackage || entry.name === 'node_modules')
  }
}

/** Why a folder cannot be read; undefined if it can. */
function problemOf(folder: string): string | undefined {
  try {
    accessSync(folder, constants.R_OK | constants.X_OK)
    return undefined
  } catch (error) {
    return `cannot be read: ${(error as NodeJS.ErrnoException).code}`
  }
}

function reasonToSkip(entry: Dirent, inPackage: boolean): string | undefined {
  const { name } = entry
  if (entry.isDirectory()) {
    if (name.startsWith('.')) return 'hidden folder'
    return inPackage && packageFolders.test(name) ? 'part of a package' : undefined
  }
  if (!entry.isFile()) return entry.isSymbolicLink() ? 'link' : 'not a file'
  const known = documents.has(extname(name).toLowerCase()) || /^readme$/i.test(name)
  if (!known) return 'neither Markdown, text, HTML nor PDF'
  return inPackage && (packageNames.test(name) || translation.test(name)) ? 'part of a package' : undefined
}
