import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { applyControl, loadControls, patchesOf } from './lib/controls.ts'

const root = join(import.meta.dirname, '..')
const read = (file: string) => readFileSync(join(root, file), 'utf8')

test('every control applies to the source as it is, and names a test file', async () => {
  const offences: string[] = []
  for (const [name, control] of await loadControls()) {
    try {
      applyControl(control, read)
    } catch (error) {
      offences.push(`${name}: ${(error as Error).message}`)
    }
    if (!control.test.endsWith('.test.ts') || !existsSync(join(root, control.test)))
      offences.push(`${name}: there is no test file ${control.test}`)
  }
  expect(offences).toEqual([])
})

test('a control whose text is missing or found twice does not apply', () => {
  const control = { fault: 'An example.', file: 'a.txt', find: 'one', replace: '$& three', test: 'a.test.ts' }
  expect(() => applyControl(control, () => 'two')).toThrow('exactly once in a.txt but occurs 0 times')
  expect(() => applyControl(control, () => 'one one')).toThrow('occurs 2 times')
  expect(applyControl(control, () => 'one')).toEqual(new Map([['a.txt', '$& three']]))
})

test('several patches of one file build on each other', () => {
  const patches = [
    { file: 'a.txt', find: 'one', replace: 'two' },
    { file: 'a.txt', find: 'two', replace: 'three' },
  ]
  const control = { fault: 'An example.', test: 'a.test.ts', patches }
  expect(patchesOf(control)).toHaveLength(2)
  expect(applyControl(control, () => 'one')).toEqual(new Map([['a.txt', 'three']]))
})
