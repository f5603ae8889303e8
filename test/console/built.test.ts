import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { isCurrent } from '../../scripts/console.ts'

const built = join(import.meta.dirname, '../../dist/console')

test('the console was built from its sources as they are; if not: node scripts/console.ts', () => {
  expect(isCurrent()).toBe(true)
})

test('the first load is below 300 kB, gzipped', () => {
  const page = readFileSync(join(built, 'index.html'), 'utf8')
  const linked = [...page.matchAll(/(?:src|href)="\.\/([^"]+)"/g)].map(([, file]) => file!)
  const files = [...linked, ...globSync('assets/live-*', { cwd: built })]
  const bytes = files.map(file => gzipSync(readFileSync(join(built, file))).length)
  expect(bytes.length).toBeGreaterThan(3)
  expect(bytes.reduce((sum, each) => sum + each)).toBeLessThan(300_000)
})

test('nothing but pages, scripts, styles and images is built', () => {
  const files = globSync('**/*.*', { cwd: built })
  expect(files.filter(file => !/\.(?:html|js|css|svg)$|^sources\.json$/.test(file))).toEqual([])
})
