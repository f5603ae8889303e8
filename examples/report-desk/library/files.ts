import { readdirSync, statSync } from 'node:fs'
import { extname, join, relative, sep } from 'node:path'

/** A document as it lies in the folder; the path is relative to it, with forward slashes. */
export interface DocumentFile {
  readonly path: string
  readonly mtime: number
  readonly size: number
}

const texts = new Set(['.md', '.mdx', '.markdown', '.txt', '.rst'])
const documents = new Set([...texts, '.html', '.htm', '.pdf'])

const skippedFolders = /^(?:\..*|__.*__|tests?|fixtures?|snapshots|coverage|dist|build|vendor|locales)$/i
const skippedNames =
  /^(?:licen[cs]es?|copying|notice|third.?party.*|change.?log|changes|history|releases?|authors|contributors|code_of_conduct)\b/i
const translation = /^readme[._-](?!md)[a-z]{2}(?:[_-][a-z]{2,4})?\.\w+$/i
const largest = 32 * 1024 * 1024

/**
 * The documents under a folder, packages installed in it included. Licences, changelogs, translations, test folders
 * and second copies of a package are left out: they fill an index and answer nothing.
 */
export function documentsIn(root: string, without: readonly string[] = []): DocumentFile[] {
  const found = [...walk(root, new Set(without))].map(file => {
    const { mtimeMs, size } = statSync(file)
    return { path: relative(root, file).split(sep).join('/'), mtime: mtimeMs, size }
  })
  const paths = new Set(found.map(({ path }) => path))
  return found
    .filter(
      ({ path, size }) => size > 0 && size <= largest && (outermost(path) === path || !paths.has(outermost(path))),
    )
    .toSorted((a, b) => (a.path < b.path ? -1 : 1))
}

/** Where a package that is installed inside another one would lie if it were installed at the top. */
const outermost = (path: string) => path.replace(/.*\/(?=node_modules\/)/, '')

function* walk(folder: string, without: ReadonlySet<string>): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) {
      if (!skippedFolders.test(entry.name) && !without.has(path)) yield* walk(path, without)
    } else if (entry.isFile() && isDocument(entry.name)) yield path
  }
}

function isDocument(name: string): boolean {
  const known = documents.has(extname(name).toLowerCase()) || /^readme$/i.test(name)
  return known && !skippedNames.test(name) && !translation.test(name)
}
