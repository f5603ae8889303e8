import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { installedFrom } from '../src/cli/init-source.ts'
import { manifest } from '../src/manifest.ts'

/** An installation by npm, which recorded where it got the package from. */
function installation(resolved?: string): { root: string; folder: string } {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'tidings-source-')))
  onTestFinished(() => rmSync(root, { recursive: true }))
  const folder = join(root, 'node_modules/tidings')
  mkdirSync(folder, { recursive: true })
  const packages = { 'node_modules/tidings': { version: manifest.version, resolved } }
  if (resolved !== undefined) writeFileSync(join(root, 'node_modules/.package-lock.json'), JSON.stringify({ packages }))
  return { root, folder }
}

test.each([
  ['the registry', 'https://registry.npmjs.org/tidings/-/tidings-0.2.0.tgz', `^${manifest.version}`],
  ['an unknown place', undefined, `^${manifest.version}`],
  [
    'a tarball of a release',
    'https://example.com/o/tidings/releases/download/v0.2.0/tidings-0.2.0.tgz',
    'https://example.com/o/tidings/releases/download/v0.2.0/tidings-0.2.0.tgz',
  ],
  ['a Git repository', 'git+ssh://git@example.com/o/tidings.git#a1b2', 'git+ssh://git@example.com/o/tidings.git#a1b2'],
])('a project of an installation from %s depends on the same', (_, resolved, expected) => {
  expect(installedFrom(installation(resolved).folder)).toBe(expected)
})

test('a project of an installation from a file depends on that file, and one of a folder on the folder', () => {
  const { root, folder } = installation('file:../packs/tidings-0.2.0.tgz')
  expect(installedFrom(folder)).toBe(`file:${join(root, '../packs/tidings-0.2.0.tgz')}`)
  expect(installedFrom('/src/tidings')).toBe('file:/src/tidings')
})
