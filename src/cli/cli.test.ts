import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import type { Reason } from '../bus/reason.ts'
import { until } from '../testing/wait.ts'

const root = join(import.meta.dirname, '../..')
const main = join(root, 'src/cli/main.ts')
const library = JSON.stringify(join(root, 'src/index.ts'))

const app = `
import { agent, app, tool } from ${library}
import { z } from ${JSON.stringify(join(root, 'node_modules/zod/index.js'))}
const twice = tool('text.twice', { description: 'Twice', input: z.string(), run: text => text + text })
const broken = tool('text.broken', { description: 'Broken', input: z.string(), run: () => { throw new Error('no luck') } })
const stuck = tool('text.stuck', { description: 'Heeds nothing', input: z.string(), run: () => new Promise(() => setInterval(() => {}, 1_000)) })
const nowhere = tool('text.nowhere', { description: 'Nobody hosts it', input: z.string(), run: text => text })
const doubler = agent('doubler', { on: 'text.given', run: async (ctx, text) => ctx.call(twice, text) })
const failer = agent('failer', { on: 'trouble.wanted', run: async (ctx, text) => ctx.call(broken, text) })
const patient = agent('patient', { on: 'stuck.wanted', run: async (ctx, text) => ctx.call(stuck, text) })
const waiter = agent('waiter', { on: 'wait.wanted', run: async (ctx, text) => ctx.call(nowhere, text) })
export default app({ name: 'desk', use: [doubler, failer, patient, waiter, twice, broken, stuck] })
`

let folder: string
let running: ChildProcess[]

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidings-cli-'))
  running = []
})

afterEach(async () => {
  for (const child of running) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  await rm(folder, { recursive: true, force: true })
})

interface Result {
  code: number | null
  stdout: string
  stderr: string
}

function launch(args: string[], cwd = folder): ChildProcess {
  const env = {
    ...process.env,
    TIDINGS_HOME: '',
    TIDINGS_PORT: '0',
    NO_COLOR: '1',
    FORCE_COLOR: undefined,
    COLUMNS: '200',
  }
  const child = spawn(process.execPath, [main, ...args], { cwd, env, stdio: ['pipe', 'pipe', 'pipe'] })
  running.push(child)
  return child
}

async function tidings(args: string[], input = ''): Promise<Result> {
  const child = launch(args)
  child.stdin!.end(input)
  const [stdout, stderr] = await Promise.all([text(child.stdout!), text(child.stderr!), once(child, 'close')])
  return { code: child.exitCode, stdout, stderr }
}

/** What a command printed with --json. */
async function json<T = Record<string, unknown>>(...args: string[]): Promise<T[]> {
  const { code, stdout, stderr } = await tidings([...args, '--json'])
  expect(stderr).toBe('')
  expect(code).toBe(0)
  return linesOf<T>(stdout)
}

const linesOf = <T>(stdout: string) =>
  stdout
    .split('\n')
    .filter(Boolean)
    .map(line => JSON.parse(line) as T)

/** Collects what a process prints while it runs. */
function listen(child: ChildProcess) {
  const out = { stdout: '', stderr: '' }
  child.stdout!.setEncoding('utf8').on('data', chunk => (out.stdout += chunk))
  child.stderr!.setEncoding('utf8').on('data', chunk => (out.stderr += chunk))
  return out
}

const runApp = (...more: string[]) => runCode(app, ...more)

async function runCode(code: string, ...more: string[]) {
  await writeFile(join(folder, 'app.ts'), code)
  const child = launch(['run', '--json', ...more])
  const out = listen(child)
  await until(() => out.stdout.includes('"ready"'), { within: 20_000, what: `the app to run: ${out.stderr}` })
  return { child, out }
}

const publish = async (...args: string[]) => (await json<{ id: string; correlationid: string }>('publish', ...args))[0]!

interface TraceRecord {
  kind: string
  id: string
  status?: string
  program?: string
  type?: string
}

const traced = (correlation: string, ended: (records: TraceRecord[]) => boolean) =>
  until(
    async () => {
      const records = await json<TraceRecord>('trace', correlation)
      return ended(records) && records
    },
    { within: 20_000, what: 'the trace to end' },
  )

/** Waits until the attention list has one entry. */
const listed = () =>
  until(async () => {
    const items = await json<{ id: number; key: string; kind: string; reason: Reason }>('attention')
    return items.length === 1 && items
  }, { within: 20_000 }) // biome-ignore format: one block

describe('usage', () => {
  test.each<[string[], string]>([
    [['tial'], 'Did you mean tail?'],
    [['publish'], 'missing required argument'],
    [['tail', '--type', 'NOT A TYPE'], 'not an event type'],
    [['tail', '--since', 'yesterday'], 'a cursor or "beginning"'],
    [['pause', 'cat', 'tom'], 'cannot be paused'],
    [['attention', 'retry'], '--key'],
    [['attention', 'discard', 'x'], 'not the number'],
    [['run', '--only', 'agents,cats'], 'cats'],
  ])('%j reports the error and the next step, and exits with 2', async (args, expected) => {
    if (args[0] === 'pause' || args[0] === 'attention') await mkdir(join(folder, '.tidings'))
    const { code, stdout, stderr } = await tidings(args)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain(expected)
    expect(stderr).toContain(args[0] === 'tial' ? '→ The command' : `→ \`tidings ${args[0]} `)
    expect(stderr).not.toMatch(/^\s+at /m)
  })

  test('errors are JSON with --json', async () => {
    const { code, stderr } = await tidings(['trace', 'last', '--json'])
    expect(code).toBe(1)
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'E_NOT_FOUND', next: expect.any(String) } })
  })

  test('--version and --help print; no command prints the help', async () => {
    expect((await tidings(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
    expect((await tidings(['--help'])).stdout).toContain('Usage: tidings')
    expect(await tidings([])).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('Usage: tidings') })
  })

  test('a closed pipe shows no error', async () => {
    await publish('order.paid', '1')
    const child = launch(['tail', '--since', 'beginning'])
    const out = listen(child)
    await once(child.stdout!, 'data')
    child.stdout!.destroy()
    const [[code]] = await Promise.all([once(child, 'exit'), publish('order.paid', '2')])
    expect({ code, stderr: out.stderr }).toEqual({ code: 0, stderr: '' })
  })
})

describe('publish and tail', () => {
  test('a running tail shows published events in order, as JSON', async () => {
    const child = launch(['tail', '--json', '--type', 'order.*', '--since', 'beginning'])
    const out = listen(child)
    const first = await publish('order.paid', '{"n":1}')
    await publish('other.thing', '{}')
    const second = await publish('order.sent', '{"n":2}', '--correlation', first.correlationid, '--id', 'mine')
    const shown = () => linesOf<{ cursor: string; event: { id: string; data: unknown; source: string } }>(out.stdout)
    await until(() => shown().length === 2)
    expect(shown().map(({ event }) => event.id)).toEqual([first.id, 'mine'])
    expect(shown()[0]!.event).toMatchObject({ source: '/cli', data: { n: 1 } })
    expect(second.correlationid).toBe(first.correlationid)
    child.kill('SIGINT')
    expect((await once(child, 'exit'))[0]).toBe(0)
  })

  test('data may come from standard input', async () => {
    const { code, stdout } = await tidings(['publish', 'order.paid', '-', '--json'], '{"big":true}')
    expect(code).toBe(0)
    const { correlationid } = JSON.parse(stdout)
    expect(await json('trace', correlationid)).toMatchObject([{ kind: 'event', type: 'order.paid' }, { kind: 'total' }])
  })

  test('publishing the same id again has no effect, and names the first correlation', async () => {
    const first = await publish('order.paid', '1', '--id', 'same')
    expect(await publish('order.paid', '2', '--id', 'same')).toMatchObject({ ...first, duplicate: true })
  })

  test('a type of the runtime is rejected with exit code 1', async () => {
    const { code, stderr } = await tidings(['publish', 'tool.result', '{}'])
    expect(code).toBe(1)
    expect(stderr).toContain('"tool.result" is reserved for the runtime')
  })

  test('--home overrides TIDINGS_HOME', async () => {
    await json('publish', 'order.paid', '1', '--home', join(folder, 'elsewhere'))
    expect(await json('--home', join(folder, 'elsewhere'), 'status')).toMatchObject([
      { home: join(folder, 'elsewhere') },
    ])
    expect((await tidings(['status'])).code).toBe(1)
  })
})

describe('an app', () => {
  test('runs, is traced by id, by digits and by last, and stops gracefully', async () => {
    const { child, out } = await runApp()
    const { correlationid } = await publish('text.given', '"ab"')
    const records = await traced(correlationid, found => found.some(({ status }) => status === 'completed'))
    expect(records.map(({ kind }) => kind)).toEqual(['event', 'task', 'call', 'total'])
    expect(await json('trace', correlationid.slice(-12))).toEqual(records)
    const { stdout } = await tidings(['trace', 'last'])
    expect(stdout).toContain('└─ agent doubler v1')
    expect(stdout).toMatch(/└─ tool text\.twice .*✔ .* m?s {2}\w{6}:1:0 turn 1 .*ab/)
    child.kill('SIGTERM')
    expect((await once(child, 'exit'))[0]).toBe(0)
    expect(linesOf<{ event: string }>(out.stdout).map(({ event }) => event)).toEqual(['ready', 'stopping', 'stopped'])
  })

  test('stops in order after TIDINGS_STOP_WITHIN, also with a tool that ignores its signal', async () => {
    vi.stubEnv('TIDINGS_STOP_WITHIN', '200ms')
    onTestFinished(() => void vi.unstubAllEnvs())
    const { child, out } = await runApp()
    await publish('stuck.wanted', '"ab"')
    const inHand = async () => {
      const [status] = await json<{ groups: { group: string; inFlight: number }[] }>('status')
      return status!.groups.find(({ group }) => group === 'tool/text.stuck')!.inFlight
    }
    await until(async () => (await inHand()) === 1, { within: 20_000 })
    child.kill('SIGTERM')
    expect((await once(child, 'exit'))[0]).toBe(0)
    expect(out.stdout).toContain('"stopped"')
    expect(await inHand()).toBe(0)
  })

  test('status names groups and durability', async () => {
    await runApp('--only', 'agents,tools')
    const [status] = await json<{ groups: { group: string }[]; durability: object }>('status')
    expect(status!.groups.map(({ group }) => group).toSorted()).toEqual([
      'app/desk',
      'operations',
      'operations/desk',
      'replay',
      'tool/text.broken',
      'tool/text.stuck',
      'tool/text.twice',
    ])
    expect(status!.durability).toMatchObject({ survives: 'power' })
  })

  test('a paused tool keeps its deliveries until it is resumed', async () => {
    await runApp()
    expect(await json('pause', 'tool', 'text.twice')).toMatchObject([{ state: 'paused', changed: true }])
    const { correlationid } = await publish('text.given', '"ab"')
    const [parked] = await listed()
    expect(parked).toMatchObject({ kind: 'parked', next: ['tidings resume tool text.twice'] })
    expect(await json('status')).toMatchObject([{ paused: ['tool text.twice'], attention: 1 }])
    expect(await json('resume', 'tool', 'text.twice')).toMatchObject([{ changed: true }])
    await traced(correlationid, found => found.some(({ status }) => status === 'completed'))
    expect((await tidings(['attention'])).stdout).toBe('Nothing needs attention.\n')
  })

  test('a parked task is retried, and discarded', async () => {
    const { child } = await runApp()
    const { correlationid } = await publish('wait.wanted', '"x"')
    await traced(correlationid, found => found.some(({ status }) => status === 'waiting'))
    child.kill('SIGKILL')
    await once(child, 'exit')
    // The code is another one when the answer comes.
    const changed = app
      .replace('ctx.call(nowhere', 'ctx.call(twice')
      .replace('twice, broken, stuck] })', 'twice, broken, stuck, nowhere] })')
    await runCode(changed)
    const [first] = await listed()
    expect(first!.reason).toMatchObject({ code: 'E_PROGRAM_MISMATCH', data: { fork: expect.stringMatching(/@1$/) } })
    const { stdout } = await tidings(['attention'])
    expect(stdout).toContain(`tidings attention retry --key ${first!.key}`)
    expect(stdout).toMatch(/part of wait\.wanted .*: tidings trace [0-9a-f]{6}\n/)
    expect(await json('attention', 'retry', '--key', first!.key)).toEqual([{ redelivered: 1 }])
    const [again] = await listed()
    expect(await json('attention', 'discard', String(again!.id))).toEqual([{ discarded: again!.id }])
    expect(await json('attention')).toEqual([])
    expect((await tidings(['attention', 'discard', String(again!.id)])).code).toBe(1)
  })

  test('a task is cancelled', async () => {
    await runApp()
    const { correlationid } = await publish('wait.wanted', '"x"')
    const waiting = await traced(correlationid, found => found.some(({ status }) => status === 'waiting'))
    const task = waiting.find(({ kind }) => kind === 'task')!.id
    expect(await json('attention', 'cancel', task, '--reason', 'enough')).toMatchObject([{ program: 'waiter' }])
    const ended = await traced(correlationid, found => found.some(({ status }) => status === 'cancelled'))
    expect(ended.filter(({ kind }) => kind === 'call')).toMatchObject([{ status: 'abandoned' }])
    const { code, stderr } = await tidings(['attention', 'cancel', task])
    expect(code).toBe(1)
    expect(stderr).toContain('it is cancelled')
  })

  test('a failed call is marked', async () => {
    await runApp()
    const { correlationid } = await publish('trouble.wanted', '"x"')
    const records = await traced(correlationid, found =>
      found.some(({ kind, status }) => kind === 'task' && status === 'failed'),
    )
    expect(records.find(({ kind }) => kind === 'call')).toMatchObject({
      status: 'failed',
      problem: 'E_TOOL_THREW: no luck',
    })
  })
})

describe('an app file', () => {
  test.each([
    ['export default 1', 'has a default export that is not an app'],
    ['export const x = 1', 'has no default export'],
    ['const x = = 1', 'app.ts:1'],
    ['throw new Error("early")', 'early (app.ts:1:'],
    ['import "not-there"', 'not-there'],
    [`import { agent } from ${library}\nagent('NO NAME', {})`, 'is not an agent name'],
  ])('%j is rejected with a clear error', async (content, expected) => {
    await writeFile(join(folder, 'app.ts'), content)
    const { code, stderr } = await tidings(['run'])
    expect(code).toBe(1)
    expect(stderr).toContain(expected)
    expect(stderr).toContain('E_APP_INVALID')
    expect(stderr).not.toMatch(/^\s+at /m)
  })

  test('is named by package.json, or has a default name', async () => {
    expect((await tidings(['run'])).stderr).toContain('has no app.ts, app.js, src/app.ts')
    await writeFile(join(folder, 'package.json'), '{"type":"module","tidings":{"app":"worker.ts"}}')
    expect((await tidings(['run'])).stderr).toContain('has no worker.ts')
    await writeFile(join(folder, 'worker.ts'), 'export const x = 1')
    expect((await tidings(['run'])).stderr).toContain('worker.ts has no default export')
  })
})

describe('dev', () => {
  test('runs the app again after a change, survives a syntax error, shows events, and ends with the signal', async () => {
    await writeFile(join(folder, 'app.ts'), app)
    const child = launch(['dev'])
    const out = listen(child)
    const runs = (name: string) => () => out.stdout.split(`● ${name} runs`).length - 1
    await until(() => runs('desk')() === 1, { within: 20_000 })
    await writeFile(join(folder, 'app.ts'), 'export default = {')
    await until(() => out.stderr.includes('E_APP_INVALID') && out.stdout.includes('waiting for the next change'), {
      within: 20_000,
    })
    await writeFile(join(folder, 'app.ts'), app.replace("name: 'desk'", "name: 'shop'"))
    await until(() => runs('shop')() === 1, { within: 20_000 })
    await publish('text.given', '"ab"')
    await until(() => /agent\.task\.completed +doubler +\w{6}:2:0 abab/.test(out.stdout), { within: 20_000 })
    child.kill('SIGINT')
    expect((await once(child, 'exit'))[0]).toBe(0)
    expect(out.stdout).toMatch(/stopped\n$/)
  }, 90_000)
})

describe('init', () => {
  test('creates a project that runs and answers', async () => {
    const { code, stdout } = await tidings(['init', 'shop'])
    expect({ code, next: stdout.includes('npx tidings dev') }).toEqual({ code: 0, next: true })
    const project = join(folder, 'shop')
    const modules = join(project, 'node_modules')
    await mkdir(join(modules, 'tidings'), { recursive: true })
    await writeFile(join(modules, 'tidings/package.json'), JSON.stringify({ type: 'module', exports: './index.js' }))
    await writeFile(join(modules, 'tidings/index.js'), `export * from ${JSON.stringify(join(root, 'src/index.ts'))}`)
    await symlink(join(root, 'node_modules/zod'), join(modules, 'zod'))

    const out = listen(launch(['run', '--json'], project))
    await until(() => out.stdout.includes('"ready"'), {
      within: 20_000,
      what: `the project to run: ${out.stderr}`,
    })
    const home = ['--home', join(project, '.tidings')]
    const { correlationid } = await publish('question.asked', '{"text":"When are you open on Sunday?"}', ...home)
    await until(async () => (await tidings(['trace', correlationid, ...home])).stdout.includes('open from 11 to 16'), {
      within: 20_000,
    })
  })

  test('rejects a folder that is not empty, and an unknown template', async () => {
    const { stderr } = await tidings(['init', '--template', 'shop'])
    expect(stderr).toContain('Allowed choices are agent, workflow, chat, webhook')
    await writeFile(join(folder, 'mine.txt'), '')
    expect(await tidings(['init'])).toMatchObject({ code: 2, stderr: expect.stringContaining('is not empty') })
  })
})
