import { existsSync, globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readApi, type Doc } from '../scripts/api.ts'
import { generatedFiles } from '../scripts/docs.ts'
import { variables } from '../src/runtime/variables.ts'
import { examplePrograms } from './lib/examples.ts'

const root = join(import.meta.dirname, '..')
const read = (file: string) => readFileSync(join(root, file), 'utf8')

const { entries, errors } = readApi(examplePrograms())

test('what comes from the code is as the code is now (node scripts/docs.ts writes it)', () => {
  // Not stored, because it repeats every page: it is written when the package is packed.
  const files = [...generatedFiles(entries)].filter(([file]) => file !== 'llms-full.txt')
  expect(files.map(([file]) => file)).toContain('docs/api/surface.txt')
  const stale = files.filter(([file, text]) => !existsSync(join(root, file)) || read(file) !== text)
  expect(stale.map(([file]) => file)).toEqual([])
})

const exported = entries.flatMap(({ name, symbols }) => symbols.map(symbol => ({ ...symbol, entry: name })))

test('everything that the package exports has a doc comment', () => {
  expect(exported.filter(({ doc }) => doc.text === '').map(({ file, name }) => `${file}: ${name}`)).toEqual([])
})

test('what apps and tests call has an example', () => {
  const values = exported.filter(
    ({ entry, kind }) => /^tidings(\/testing)?$/.test(entry) && kind !== 'interface' && kind !== 'type',
  )
  const isShown = (doc: Doc) => doc.examples.length > 0
  const unshown = values.filter(({ doc, methods }) => !isShown(doc) && !methods.some(method => isShown(method.doc)))
  expect(unshown.map(({ file, name }) => `${file}: ${name}`)).toEqual([])

  // Their methods are what an author looks up.
  const types = ['ScriptContext', 'ToolContext', 'TurnContext', 'RunningApp', 'TaskHandle', 'TestApp', 'Workflow']
  const members = exported
    .filter(({ name }) => types.includes(name))
    .flatMap(({ file, methods }) => {
      // Of overloads one is enough.
      const shown = new Set(methods.filter(({ doc }) => doc.text !== '' && isShown(doc)).map(({ name }) => name))
      return methods.filter(({ name }) => !shown.has(name)).map(({ name }) => `${file}: ${name}`)
    })
  expect(members).toEqual([])
})

test('the examples of the doc comments compile', () => {
  expect(errors).toEqual([])
})

test('every environment variable that the code reads is in the table', () => {
  const source = globSync('src/**/*.ts', { cwd: root }).filter(
    file => !file.endsWith('.test.ts') && !file.endsWith('variables.ts'),
  )
  const used = new Set(source.flatMap(file => read(file).match(/\bTIDINGS_[A-Z_]+\b/g) ?? []))
  const gone = ['TIDINGS_APPROVERS']
  expect([...used].toSorted()).toEqual([...Object.keys(variables), ...gone].toSorted())
})
