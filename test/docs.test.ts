import { existsSync, globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readApi } from '../scripts/api.ts'
import { generatedFiles } from '../scripts/docs.ts'
import { variables } from '../src/runtime/variables.ts'
import { examplePrograms } from './lib/examples.ts'

const root = join(import.meta.dirname, '..')
const read = (file: string) => readFileSync(join(root, file), 'utf8')

const { entries, errors } = readApi(examplePrograms())

test('what comes from the code is as the code is now (node scripts/docs.ts writes it)', () => {
  const files = [...generatedFiles(entries)]
  expect(files.map(([file]) => file)).toContain('docs/api/surface.txt')
  const stale = files.filter(([file, text]) => !existsSync(join(root, file)) || read(file) !== text)
  expect(stale.map(([file]) => file)).toEqual([])
})

test('the examples of the doc comments compile', () => {
  expect(errors).toEqual([])
})

test('every environment variable that the code reads is in the table', () => {
  const source = globSync('src/**/*.ts', { cwd: root }).filter(
    file => !file.endsWith('.test.ts') && !file.endsWith('variables.ts'),
  )
  const used = new Set(source.flatMap(file => read(file).match(/\bTIDINGS_[A-Z_]+\b/g) ?? []))
  expect([...used].toSorted()).toEqual(Object.keys(variables).toSorted())
})
