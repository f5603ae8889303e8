import type * as fs from 'node:fs'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { documentsIn } from './files.ts'

/** The real one, and a folder that nobody may read, which even root may not. */
vi.mock('node:fs', async original => {
  const real = await original<typeof fs>()
  const refusing =
    <A extends [unknown, ...unknown[]], R>(call: (...args: A) => R) =>
    (...args: A): R => {
      if (basename(String(args[0])) === 'locked') throw Object.assign(new Error('EACCES'), { code: 'EACCES' })
      return call(...args)
    }
  return { ...real, accessSync: refusing(real.accessSync), readdirSync: refusing(real.readdirSync as never) }
})

test('an unreadable folder is reported, and the others are read', () => {
  const root = mkdtempSync(join(tmpdir(), 'report-desk-files-'))
  onTestFinished(() => rmSync(root, { recursive: true }))
  mkdirSync(join(root, 'locked'))
  writeFileSync(join(root, 'notes.md'), 'zebras')
  const { files, skipped } = documentsIn(root)
  expect(files.map(({ path }) => path)).toEqual(['notes.md'])
  expect(skipped).toEqual([{ path: 'locked/', reason: 'cannot be read: EACCES' }])
})
