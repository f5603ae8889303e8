import { execFile } from 'node:child_process'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { cp, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { formatMessage } from 'publint/utils'
import { publint } from 'publint'
import { afterAll, beforeAll, expect, test } from 'vitest'
import manifest from '../package.json' with { type: 'json' }
import { copyCheckout } from './lib/checkout.ts'

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
  project = await realpath(await mkdtemp(join(tmpdir(), 'tidings-package-')))
  // In a copy: to pack removes dist/, from which other tests read the console.
  const checkout = await realpath(await mkdtemp(join(tmpdir(), 'tidings-pack-')))
  copyCheckout(checkout)
  // What the static checks have compiled is compiled again only where the sources have changed since.
  const dist = join(root, 'dist')
  if (existsSync(dist)) await cp(dist, join(checkout, 'dist'), { recursive: true, preserveTimestamps: true })
  await run('npm', ['exec', '-c', manifest.scripts.prepack.replace('rm -rf dist && ', '')], checkout)
  await run('npm', ['pack', '--ignore-scripts', '--pack-destination', project], checkout)
  await rm(checkout, { recursive: true })
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
    files.filter(
      file =>
        !file.startsWith('templates/') &&
        /^(src|test|scripts)\/|\.test\.|tsbuildinfo|(?<!\.d)\.ts$|^(examples|bench)\/.*(?<!\.md)$/.test(file),
    ),
  ).toEqual([])
})

test('publint reports no problem', async () => {
  const { buffer } = readFileSync(tarball)
  const { messages } = await publint({ pack: { tarball: buffer }, strict: true })
  expect(messages.map(message => formatMessage(message, manifest))).toEqual([])
})

test('a program of agent and tools runs, tools in worker threads too', async () => {
  await writeFile(join(project, 'program.mjs'), program)
  const stdout = await run(process.execPath, ['program.mjs'], project)
  expect(stdout).toBe('42\n')
})

const program = `
import { agent, app, start, tool } from 'tidings'
import { z } from 'zod'

const input = z.object({ n: z.number() })
const double = tool('double', { description: 'n × 2', input, run: ({ n }) => 2 * n })
const increment = tool('increment', { description: 'n + 1', input, blocking: true, run: ({ n }) => n + 1 })
const clerk = agent('clerk', {
  on: 'order.paid',
  async run(ctx, { n }) {
    const doubled = await ctx.call(double, { n })
    ctx.emit({ type: 'order.booked', data: { n: await ctx.call(increment, { n: doubled }) } })
  },
})
const desk = app({ use: [clerk, double, increment] })
export default desk

if (import.meta.main) {
  const running = await start(desk, { module: import.meta.url, only: ['agents', 'tools'] })
  await running.bus.publish({ type: 'order.paid', data: { n: 20.5 } })
  const booked = running.bus.follow('0', [{ types: ['order.booked'] }], AbortSignal.timeout(20_000))
  for await (const { event } of booked) {
    console.log(event.data.n)
    break
  }
  await running.stop()
}
`

test('the testing kit works under node:test, without any optional peer', async () => {
  await writeFile(join(project, 'program.test.mjs'), programTest)
  expect(globSync('node_modules/{vitest,fast-check}', { cwd: project })).toEqual([])
  await run(process.execPath, ['--test', 'program.test.mjs'], project)
})

const programTest = `
import { test } from 'node:test'
import { given, result, testApp } from 'tidings/testing'
import desk from './program.mjs'

test('the whole app', async () => {
  const world = await testApp(desk, { tools: { double: () => 7 } })
  await world.publish('order.paid', { n: 1 })
  await world.expect('order.booked', { n: 8 })
  await world.stop()
})

test('one agent', () =>
  given(desk.agents[0], { event: { type: 'order.paid', data: { n: 1 } } })
    .when(result('double', 2))
    .emits([{ type: 'tool.invoke', target: 'increment' }]))
`

test('its types arrive', async () => {
  await writeFile(
    join(project, 'consumer.ts'),
    [
      `import { TidingsError, event } from 'tidings'`,
      `import { registerDriver, shardOf, type Driver, type Commit, type OpenDriver } from 'tidings/driver'`,
      `export const code: string = new TidingsError('E_NOT_FOUND', 'x').code`,
      `// @ts-expect-error an untyped package would let this pass`,
      `export const wrong: number = event`,
      `// @ts-expect-error likewise`,
      `export const driver: Driver = 1`,
      `export const open: OpenDriver = ({ bus, home }) => { throw new Error(bus + home) }`,
      `export const shard = (commit: Commit): number => shardOf(commit.task.slice(0, 36), 16)`,
      `registerDriver('mine', open)`,
    ].join('\n'),
  )
  const options = ['--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext', '--target', 'es2024']
  await run(join(root, 'node_modules/.bin/tsc'), [...options, 'consumer.ts'], project)
})

test('a page compiles against the client and the hooks, without the types of Node', async () => {
  const folder = join(project, 'page')
  for (const name of ['react', '@types/react', 'csstype'])
    await cp(join(root, 'node_modules', name), join(folder, 'node_modules', name), { recursive: true })
  await writeFile(
    join(folder, 'page.ts'),
    [
      `import { addPart, createClient, type StreamPart } from 'tidings/client'`,
      `import { useEvents, useTask } from 'tidings/react'`,
      `const client = createClient({ url: '/api', storage: localStorage, token: async () => 'token' })`,
      `export const fold = (parts: readonly StreamPart[], part: StreamPart) => addPart(parts, part)`,
      `export const usePage = () => [useTask<string>(client, 'helper').output?.length, useEvents(client).events[0]?.id]`,
      `// @ts-expect-error an untyped package would let this pass`,
      `export const wrong: number = createClient`,
    ].join('\n'),
  )
  const options = ['--noEmit', '--strict', '--skipLibCheck', '--module', 'esnext', '--moduleResolution', 'bundler']
  const browser = ['--target', 'es2024', '--lib', 'es2024,dom,dom.iterable', '--types', 'react']
  await run(join(root, 'node_modules/.bin/tsc'), [...options, ...browser, 'page.ts'], folder)
})

test('each project that it creates depends on this tarball, passes its tests and its types', async () => {
  const tidings = join(project, 'node_modules/.bin/tidings')
  const templates = ['agent', 'workflow', 'chat', 'webhook']
  await symlink(join(root, 'node_modules/@types'), join(project, 'node_modules/@types'))
  for (const template of templates) {
    await run(tidings, ['init', template, '--template', template], project)
    const { dependencies } = JSON.parse(readFileSync(join(project, template, 'package.json'), 'utf8'))
    expect(dependencies.tidings).toBe(`file:${tarball}`)
    await run(join(root, 'node_modules/.bin/tsc'), ['-p', template], project)
  }
  await run(process.execPath, ['--test', ...templates.map(template => `${template}/app.test.ts`)], project)
})

test('its command answers', async () => {
  const tidings = join(project, 'node_modules/.bin/tidings')
  expect((await run(tidings, ['--version'], project)).trim()).toBe(manifest.version)
  expect(await run(tidings, ['--help'], project)).toContain('Usage: tidings')
})
