import { execFile } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'

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
