import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { pagesWithTables } from '../scripts/docs-tables.ts'
import { variables } from '../src/runtime/variables.ts'

const root = join(import.meta.dirname, '..')
const read = (file: string) => readFileSync(join(root, file), 'utf8')

test.each([...pagesWithTables()])(
  '%s has the tables of the code (node scripts/docs-tables.ts writes them)',
  (file, page) => {
    expect(read(file)).toBe(page)
  },
)

test('every environment variable that the code reads is in the table', () => {
  const source = globSync('src/**/*.ts', { cwd: root }).filter(
    file => !file.endsWith('.test.ts') && !file.endsWith('variables.ts'),
  )
  const used = new Set(source.flatMap(file => read(file).match(/\bTIDINGS_[A-Z_]+\b/g) ?? []))
  expect([...used].toSorted()).toEqual(Object.keys(variables).toSorted())
})
