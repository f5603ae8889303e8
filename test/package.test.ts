import { execFile } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { formatMessage } from 'publint/utils'
import { publint } from 'publint'
import { afterAll, beforeAll, expect, test } from 'vitest'
import manifest from '../package.json' with { type: 'json' }

/*
 * What a user gets: the package is packed, installed into an empty project (from the registry, so it needs a network
 * or a warm npm cache), and used from there.
 */

const execute = promisify(execFile)
const root = join(import.meta.dirname, '..')

/** Standard output of a command; a failing one throws everything it said. */
async function run(command: string, args: string[], cwd: string): Promise<string> {
  return execute(command, args, { cwd }).then(
    ({ stdout }) => stdout,
    error => {
      throw new Error([error.message, error.stdout, error.stderr].join('\n'))
    },
  )
}

let project: string
let tarball: string

beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), 'tidings-package-'))
  await run('npm', ['pack', '--pack-destination', project], root)
  tarball = join(project, `tidings-${manifest.version}.tgz`)
  await writeFile(join(project, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
  await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', tarball], project)
}, 240_000)

afterAll(() => rm(project, { recursive: true, force: true }))

test('the tarball holds the built package and no sources or tests', () => {
  const installed = join(project, 'node_modules/tidings')
  const files = globSync('**/*.*', { cwd: installed }).filter(file => !file.includes('node_modules'))
  expect(files).toContain('dist/index.js')
  expect(files).toContain('dist/index.d.ts')
  expect(
    files.filter(file => /^(src|test|examples|bench|scripts)\/|\.test\.|tsbuildinfo|(?<!\.d)\.ts$/.test(file)),
  ).toEqual([])
})

test('publint has nothing to say', async () => {
  const { buffer } = readFileSync(tarball)
  const { messages } = await publint({ pack: { tarball: buffer }, strict: true })
  expect(messages.map(message => formatMessage(message, manifest))).toEqual([])
})

test('it can be imported', async () => {
  const script = `import * as tidings from 'tidings'; console.log(Object.keys(tidings).join(' '))`
  const stdout = await run(process.execPath, ['--input-type=module', '--eval', script], project)
  expect(stdout.trim().split(' ')).toEqual(expect.arrayContaining(['agent', 'app', 'event', 'tool', 'TidingsError']))
})

test('its types arrive', async () => {
  await writeFile(
    join(project, 'consumer.ts'),
    [
      `import { TidingsError, event } from 'tidings'`,
      `import type { Driver } from 'tidings/driver'`,
      `export const code: string = new TidingsError('E_NOT_FOUND', 'x').code`,
      `// @ts-expect-error an untyped package would let this pass`,
      `export const wrong: number = event`,
      `// @ts-expect-error likewise`,
      `export const driver: Driver = 1`,
    ].join('\n'),
  )
  const options = ['--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext', '--target', 'es2024']
  await run(join(root, 'node_modules/.bin/tsc'), [...options, 'consumer.ts'], project)
})

test('its command answers', async () => {
  const tidings = join(project, 'node_modules/.bin/tidings')
  expect((await run(tidings, ['--version'], project)).trim()).toBe(manifest.version)
  expect(await run(tidings, ['--help'], project)).toContain('Usage: tidings')
})
