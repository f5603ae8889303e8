import { execFile } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'

test('a Git dependency is built before npm packs it, and a checkout is not', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tidings-prepare-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  for (const command of ['tsc', 'node'])
    writeFileSync(join(folder, command), '#!/bin/sh\necho "$@" >> built\n', { mode: 0o755 })
  const prepare = (env: NodeJS.ProcessEnv) =>
    promisify(execFile)(process.execPath, [join(import.meta.dirname, '../scripts/prepare.mjs')], {
      cwd: folder,
      env: { ...process.env, PATH: `${folder}:${process.env.PATH}`, ...env },
    })
  await prepare({})
  expect(existsSync(join(folder, 'built'))).toBe(false)
  // npm sets it while it installs what a Git dependency needs to be built.
  await prepare({ _PACOTE_NO_PREPARE_: 'git+https://example.com/o/tidings.git#a1b2' })
  expect(readFileSync(join(folder, 'built'), 'utf8')).toBe('-b tsconfig.src.json\nscripts/docs.ts\n')
})

test('npm start does not install through a link, which would empty the folder that it leads to', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tidings-install-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const [checkout, shared, npm] = [join(folder, 'checkout'), join(folder, 'shared'), join(folder, 'npm.mjs')]
  for (const each of [checkout, shared]) mkdirSync(each)
  copyFileSync(join(import.meta.dirname, '../scripts/install.mjs'), join(checkout, 'install.mjs'))
  writeFileSync(join(shared, '.package-lock.json'), '{}')
  utimesSync(join(shared, '.package-lock.json'), 1, 1)
  writeFileSync(join(checkout, 'package-lock.json'), '{}')
  writeFileSync(join(checkout, 'package.json'), '{"devDependencies":{"node":"0.0.0"}}')
  writeFileSync(
    npm,
    `import { writeFileSync } from 'node:fs'\nwriteFileSync(${JSON.stringify(join(folder, 'called'))}, '')`,
  )
  const install = () =>
    promisify(execFile)(process.execPath, ['install.mjs'], {
      cwd: checkout,
      env: { ...process.env, npm_execpath: npm },
    })

  symlinkSync(shared, join(checkout, 'node_modules'))
  await expect(install()).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringContaining('node_modules is a link to'),
  })
  expect(existsSync(join(folder, 'called'))).toBe(false)
})
