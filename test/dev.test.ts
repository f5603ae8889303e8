import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { until } from '../src/testing/wait.ts'
import { launch, tidings } from './lib/cli.ts'

/* What a beginner sees of what goes wrong: real processes, on the embedded log. */

const root = join(import.meta.dirname, '..')
const head = `import { agent, app, modelFromEnvironment, tool } from ${JSON.stringify(join(root, 'src/index.ts'))}
import { z } from ${JSON.stringify(join(root, 'node_modules/zod/index.js'))}
`
const app = `${head}
const read = tool('notes.read', { description: 'Reads', input: z.string(), run: open })
function open() {
  throw new Error('no such note', { cause: disk() })
}
function disk() {
  return new RangeError('sector 12')
}
const other = tool('notes.wriite', { description: 'Hosted nowhere', input: z.string(), run: () => 1 })
const reader = agent('reader', { on: 'read.wanted', run: async (ctx, text) => ctx.call(read, text) })
const fetcher = agent('fetcher', { on: 'fetch.wanted', run: async () => { await new Promise(done => setTimeout(done, 1)) } })
const thrower = agent('thrower', { on: 'throw.wanted', run: (ctx, order) => order.lines.length })
const waiter = agent('waiter', { on: 'wait.wanted', run: async (ctx, text) => ctx.call(other, text) })
export default app({ use: [reader, fetcher, thrower, waiter, read, tool('notes.write', { description: 'x', input: z.string(), run: () => 1 })] })
`

let place: { home: string; bus: string }
let folder: string

beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'tidings-dev-')))
  place = { home: join(folder, '.tidings'), bus: 'sqlite' }
  vi.stubEnv('TIDINGS_PORT', '0')
  onTestFinished(async () => {
    vi.unstubAllEnvs()
    await rm(folder, { recursive: true, force: true })
  })
})

const write = (text: string) => writeFile(join(folder, 'app.ts'), text)

function start(args: readonly string[]): { child: ChildProcess; heard: { out: string } } {
  const child = launch(place, [...args, join(folder, 'app.ts')])
  const printed = { out: '' }
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk: string) => (printed.out += chunk))
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGINT')
    await once(child, 'exit')
  })
  return { child, heard: printed }
}

const seen = (heard: { out: string }, what: string | RegExp) =>
  until(() => (typeof what === 'string' ? heard.out.includes(what) : what.test(heard.out)), {
    within: 40_000,
    what: String(what),
  })

const publish = async (type: string, data: unknown) => {
  const { stdout, code, stderr } = await tidings(place, ['publish', type, JSON.stringify(data), '--json'])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return (JSON.parse(stdout) as { correlationid: string }).correlationid
}

describe('dev prints, as it happens,', () => {
  test('why a task failed, where, and what to do; trace and why say it too', async () => {
    await write(app)
    const { heard } = start(['dev'])
    await seen(heard, '● app runs')
    await seen(
      heard,
      /try in a second terminal, with the same TIDINGS_HOME.*:\n  tidings publish read\.wanted .*\n  tidings trace last/,
    )

    await publish('fetch.wanted', {})
    await seen(heard, 'fetcher failed E_SCRIPT_FOREIGN_AWAIT')
    await seen(heard, /look at "await new Promise/)
    await seen(heard, /at fetcher \(.*app\.ts:\d+:\d+\)\n +→ .*Put the work into a step/)

    await publish('throw.wanted', {})
    await seen(heard, /thrower failed E_PROGRAM_FAILED\n +Cannot read properties.*\n +at run \(.*app\.ts:14:\d+\)/)

    const correlation = await publish('read.wanted', 'a')
    const where =
      /no such note: sector 12\n +at open \(.*app\.ts:6:\d+\)\n(.*\n)? +caused by RangeError\n +at disk \(.*app\.ts:9:\d+\)/
    await seen(heard, where)
    await seen(heard, 'reader failed E_TOOL_THREW')
    expect(heard.out.split('at disk').length).toBe(2)

    const traced = await tidings(place, ['trace', correlation])
    expect(traced.stdout).toMatch(/at disk \(.*app\.ts:9:\d+\)/)
    const records = (await tidings(place, ['trace', correlation, '--json'])).stdout
    const failed = records
      .split('\n')
      .filter(Boolean)
      .map(line => JSON.parse(line) as { kind: string; status?: string; answers?: { id: string }[]; stack?: string })
      .find(({ kind, status }) => kind === 'call' && status === 'failed')!
    expect(failed.stack).toContain('caused by RangeError')
    const why = await tidings(place, ['why', failed.answers![0]!.id])
    expect(why.stdout).toMatch(/at disk \(.*app\.ts:9:\d+\)/)
  }, 90_000)

  test('that no worker hosts the name that a task waits for, and suggests a similar name, as the attention list does', async () => {
    await write(app)
    const { heard } = start(['dev'])
    await seen(heard, '● app runs')
    await publish('wait.wanted', 'a')
    await seen(
      heard,
      'no worker on this log hosts the tool "notes.wriite", which waiter waits for; did you mean "notes.write"?',
    )
    const { stdout } = await tidings(place, ['attention'])
    expect(stdout).toMatch(/^unhosted .*notes\.wriite.*did you mean "notes\.write"\? 1 call, \w{6}:1:0\n/)
  }, 60_000)
})

test('dev reports which waiting tasks the changed code does not fit, and what to do', async () => {
  await write(app)
  const { heard } = start(['dev'])
  await seen(heard, '● app runs')
  const correlation = await publish('wait.wanted', 'a')
  await seen(heard, 'tool.invoke')
  await write(app.replace('ctx.call(other, text)', 'ctx.call(read, text)'))
  await seen(heard, 'waiter: 1 waiting task does not match this code')
  await seen(heard, /task \S+ E_PROGRAM_MISMATCH\n.*makes the call notes\.read#0/)
  await seen(
    heard,
    new RegExp(
      `→ run the version that wrote it.*\n.*→ tidings fork --from ${correlation}\\S+@1 .*\n.*→ tidings attention cancel ${correlation}`,
    ),
  )
}, 60_000)

test('publishing to an agent that was never hosted fails and suggests a similar name', async () => {
  await write(app)
  const { heard } = start(['dev'])
  await seen(heard, '● app runs')
  const { code, stderr } = await tidings(place, ['publish', 'agent.invoke', '{"input":1}', '--target', 'raeder'])
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: expect.stringMatching(/"raeder"; did you mean "reader"\?.*E_NOT_FOUND/),
  })
  const { origin } = new URL(/http:\/\/\S+/.exec(heard.out)![0])
  const answer = await fetch(`${origin}/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ type: 'agent.invoke', target: 'raeder', data: { input: 1 } }),
  })
  expect(answer.status).toBe(404)
  expect(await answer.json()).toMatchObject({ error: { message: expect.stringContaining('did you mean "reader"?') } })
}, 60_000)

describe('without the key of the model', () => {
  const asking = `${head}
const model = await modelFromEnvironment()
export default app({ use: [agent('helper', { on: 'asked', model, instructions: 'Answer.' })] })
`
  beforeEach(() => {
    vi.stubEnv('TIDINGS_MODEL', 'openai/gpt-5')
    vi.stubEnv('OPENAI_API_KEY', '')
  })

  test('commands and roles without the model work, and a role that hosts it fails', async () => {
    await write(asking)
    await publish('nothing.here', {})
    const file = join(folder, 'app.ts')
    expect(await tidings(place, ['trigger', 'list', file])).toMatchObject({ code: 0, stderr: '' })
    expect((await tidings(place, ['replay', '--app', file])).stderr).not.toContain('E_MODEL_KEY')
    const { heard } = start(['run', '--only', 'tools,agents'])
    await seen(heard, '● app runs')
    expect(await tidings(place, ['run', file])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('OPENAI_API_KEY is not set'),
    })
  }, 60_000)
})

test('dev checks the types in the background, with the compiler of the project', async () => {
  await write(app)
  await mkdir(join(folder, 'node_modules'))
  await symlink(join(root, 'node_modules/typescript'), join(folder, 'node_modules/typescript'))
  await writeFile(join(folder, 'tsconfig.json'), '{"compilerOptions":{"types":[]},"include":["typed.ts"]}')
  await writeFile(join(folder, 'typed.ts'), 'export const n: number = 1\n')
  const { heard } = start(['dev'])
  await seen(heard, '● app runs')
  await writeFile(join(folder, 'typed.ts'), "export const n: number = 'one'\n")
  await seen(heard, "✖ typed.ts(1,14): error TS2322: Type 'string' is not assignable to type 'number'.")
  await writeFile(join(folder, 'typed.ts'), 'export const n: number = 2\n')
  await seen(heard, '✔ the types are right again')
})

test('dev reports that the app was killed', async () => {
  vi.stubEnv('TIDINGS_LOG_LEVEL', 'info')
  await write(app)
  const { heard } = start(['dev'])
  await seen(heard, /"pid":\d+.*"message":"worker started"/)
  process.kill(Number(/"pid":(\d+).*"message":"worker started"/.exec(heard.out)![1]), 'SIGKILL')
  await seen(heard, 'the app is not running (killed by SIGKILL); waiting for the next change')
})
