import { globSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { blocksOf, write } from '../../test/lib/guide.ts'

const root = join(import.meta.dirname, '../..')
const files = ['provider.ts', 'report.ts', 'app.ts', 'server.ts', 'load.ts']

test('the files are those that the guide ends with', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tidings-example-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const guide = await readFile(join(root, 'docs/guides/replacing-an-endpoint.md'), 'utf8')
  for (const block of blocksOf(guide)) await write(folder, block)
  expect(globSync('*.ts', { cwd: folder }).toSorted()).toEqual(files.toSorted())
  for (const file of files) {
    const code = await readFile(join(import.meta.dirname, file), 'utf8')
    expect(code.replaceAll("'../../src/", `'${join(root, 'src')}/`)).toBe(await readFile(join(folder, file), 'utf8'))
  }
})
