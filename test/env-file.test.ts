import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { until } from '../src/testing/wait.ts'

/* The file .env beside an app, read by real processes. */

const root = join(import.meta.dirname, '..')
const app = `import { app } from ${JSON.stringify(join(root, 'src/index.ts'))}
console.log(\`secret \${process.env.LEMON_SECRET}\`)
export default app({ name: 'lemon', use: [] })
`
let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidings-env-'))
  await mkdir(join(folder, 'project'))
  await writeFile(join(folder, 'project/app.ts'), app)
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
})

function launch(args: string[], cwd: string, more: NodeJS.ProcessEnv = {}): ChildProcess {
  const { TIDINGS_HOME: _, ...own } = process.env
  const env = { ...own, TIDINGS_BUS: 'sqlite', TIDINGS_PORT: '0', NO_COLOR: '1', FORCE_COLOR: undefined, ...more }
  const child = spawn(process.execPath, [join(root, 'src/cli/main.ts'), ...args], { cwd, env })
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGINT')
    await once(child, 'exit')
  })
  return child
}

async function tidings(args: string[], cwd: string, more: NodeJS.ProcessEnv = {}) {
  const child = launch(args, cwd, more)
  const [stdout, stderr] = await Promise.all([text(child.stdout!), text(child.stderr!), once(child, 'close')])
  return { code: child.exitCode, stdout, stderr }
}

test('is read beside the app or in the working folder, and does not override the environment', async () => {
  const file = ['project/app.ts']
  await writeFile(join(folder, '.env'), 'LEMON_SECRET=outer\n')
  expect((await tidings(['trigger', 'list', ...file], folder)).stdout).toContain('secret outer')
  await writeFile(join(folder, 'project/.env'), 'LEMON_SECRET=inner\nTIDINGS_HOME=elsewhere\n')
  expect((await tidings(['trigger', 'list', ...file], folder)).stdout).toContain('secret inner')
  expect((await tidings(['trigger', 'list'], join(folder, 'project'))).stdout).toContain('secret inner')
  const set = await tidings(['trigger', 'list', ...file], folder, { LEMON_SECRET: 'real' })
  expect(set.stdout).toContain('secret real')

  const published = await tidings(['publish', 'note.made', '1'], join(folder, 'project'))
  expect(published).toMatchObject({ code: 0, stderr: '' })
  expect((await tidings(['status', '--home', 'project/elsewhere'], folder)).stdout).toContain('head 1\n')
})

test('that cannot be read or parsed is reported without its content, and stops nothing', async () => {
  await writeFile(join(folder, 'project/.env'), 'LEMON_SECRET="never closed\n= \u0000 odd\n')
  expect(await tidings(['trigger', 'list'], join(folder, 'project'))).toMatchObject({ code: 0, stderr: '' })
  await rm(join(folder, 'project/.env'))
  await mkdir(join(folder, 'project/.env'))
  const { code, stdout, stderr } = await tidings(['trigger', 'list'], join(folder, 'project'))
  expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining('secret undefined') })
  expect(stderr).toMatch(/^! \.env is ignored: it is a folder\n$/)
})

test('is reloaded by dev when it changes', async () => {
  const project = join(folder, 'project')
  await writeFile(join(project, '.env'), 'LEMON_SECRET=first\n')
  const child = launch(['dev'], project)
  let out = ''
  for (const stream of [child.stdout!, child.stderr!])
    stream.setEncoding('utf8').on('data', (chunk: string) => (out += chunk))
  const seen = (what: string) => until(() => out.includes(what), { within: 50_000, what })
  await seen('● lemon runs')
  expect(out).toContain('secret first')
  await writeFile(join(project, '.env'), 'LEMON_SECRET=second\n')
  await seen('secret second')
}, 120_000)
