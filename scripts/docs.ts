import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { apiPages } from './api-pages.ts'
import { readApi, type ApiEntry } from './api.ts'
import { pagesWithTables } from './docs-tables.ts'
import { llmsFiles } from './llms.ts'

/*
 * Writes everything in the docs that comes from the code: `node scripts/docs.ts`. `test/docs.test.ts` fails while a file differs. After a
 * conflict in one of these files, take either side and run this.
 */

const root = join(import.meta.dirname, '..')
const read = (file: string) => (existsSync(join(root, file)) ? readFileSync(join(root, file), 'utf8') : '')

/** Each generated file as it should be, by its path. */
export function generatedFiles(entries: readonly ApiEntry[]): Map<string, string> {
  const pages = new Map([...pagesWithTables(), ...apiPages(entries)])
  return new Map([...pages, ...llmsFiles(pages)])
}

if (import.meta.main)
  for (const [file, text] of generatedFiles(readApi().entries))
    if (read(file) !== text) {
      mkdirSync(dirname(join(root, file)), { recursive: true })
      writeFileSync(join(root, file), text)
      console.log(`wrote ${file}`)
    }
