import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from 'vitest'

/* Real processes, as a person would call them. */

const root = join(import.meta.dirname, '../..')
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidings-slices-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function tidings(args: string[], input = '', cwd = folder) {
  const env = { ...process.env, TIDINGS_BUS: '', NO_COLOR: '1', FORCE_COLOR: undefined }
  const child = spawn(process.execPath, [join(root, 'src/cli/main.ts'), ...args], { cwd, env })
  child.stdin.end(input)
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  return { code: child.exitCode, stdout, stderr }
}

test('a log is copied through a file, or through a pipe', async () => {
  const published = await tidings(['publish', 'order.paid', '{"total":1}', '--home', 'first'])
  await tidings(['publish', 'order.paid', '{"total":2}', '--home', 'first'])
  const correlation = /correlation +(\S+)/.exec(published.stdout)![1]!

  expect(await tidings(['export', 'all.jsonl.zst', '--all', '--home', 'first'])).toEqual({
    code: 0,
    stdout: '',
    stderr: expect.stringMatching(/^exported 2 events \(0 turns\) .*\nredacted by the built-in rules only/),
  })
  expect(await tidings(['export', 'all.jsonl.zst', '--all', '--home', 'first'])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('all.jsonl.zst" exists: use --force to overwrite it'),
  })
  const imported = await tidings(['import', 'all.jsonl.zst', '--home', 'second', '--json'])
  expect(JSON.parse(imported.stdout)).toEqual({ events: 2, turns: 0, withoutBeginning: 0 })

  const part = await tidings(['export', '--correlation', correlation, '--home', 'second', '--json'])
  expect(part.stdout.split('\n')).toHaveLength(4)
  expect(JSON.parse(part.stderr)).toEqual({ events: 1, turns: 0, documents: 0, redacted: 0, missing: 0 })
  const temporary = () => readdir(tmpdir()).then(names => names.filter(name => name.startsWith('tidings-import-')))
  const before = await temporary()
  expect((await tidings(['import', '-', '--home', 'third'], part.stdout)).stdout).toContain('imported 1 event (')
  expect(await temporary()).toEqual(before)
  expect(await tidings(['import', 'all.jsonl.zst', '--home', 'third'])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('E_IMPORT_NOT_EMPTY'),
  })
})

test('the rules of the app also apply to events that were published before', async () => {
  await tidings(['publish', 'order.paid', '{"card":"4111 1111","note":"staff-77"}', '--home', 'clear'])
  const rules = `{ paths: ['data.card'], patterns: [{ name: 'staff', match: /staff-\\d+/ }] }`
  const index = JSON.stringify(join(root, 'src/index.ts'))
  await writeFile(
    join(folder, 'rules.ts'),
    `import { app } from ${index}\nexport default app({ use: [], redact: ${rules} })`,
  )
  const exported = await tidings(['export', 'clean.jsonl', '--all', '--app', 'rules.ts', '--home', 'clear'])
  expect(exported.stderr).toContain('redacted by the rules of the app\nredacted 1 event')
  const lines = await readFile(join(folder, 'clean.jsonl'), 'utf8')
  expect(lines).toContain('"note":"[redacted staff]"')
  expect(lines).not.toMatch(/4111 1111|staff-77/)
})

test('invalid arguments and files are rejected', async () => {
  await tidings(['publish', 'order.paid', '--home', 'some'])
  for (const [args, code, problem] of [
    [['export', '--home', 'some'], 2, 'expected one of --correlation ID'],
    [['export', 'x.jsonl', '--task', 'nobody', '--home', 'some'], 1, 'E_NOT_FOUND'],
  ] as const) {
    const { code: actual, stderr } = await tidings([...args])
    expect(stderr).toContain(problem)
    expect(actual).toBe(code)
  }
  const cut = await tidings(['import', '-', '--home', 'new'], '{"tidings":"slice","version":1}\n')
  expect(cut).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/line 2: the file is truncated here.*E_SLICE_INVALID/),
  })
  expect(await readdir(folder)).not.toContain('x.jsonl')
})
