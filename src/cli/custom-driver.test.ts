import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'

const root = join(import.meta.dirname, '../..')
const run = promisify(execFile)

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidings-custom-driver-'))
})

afterEach(() => rm(folder, { recursive: true, force: true }))

const code = `
import { app } from ${JSON.stringify(join(root, 'src/index.ts'))}
import { registerMemoryDriver } from ${JSON.stringify(join(root, 'examples/memory-driver/register.ts'))}
registerMemoryDriver()
export default app({ name: 'desk', use: [] })
`

/** What a command printed, or its error. */
async function tidings(...args: string[]): Promise<Record<string, unknown>> {
  const env = { ...process.env, TIDINGS_BUS: 'memory:desk', TIDINGS_HOME: '', NO_COLOR: '1', FORCE_COLOR: undefined }
  const command = [join(root, 'src/cli/main.ts'), ...args, '--json']
  const { stdout, stderr } = await run(process.execPath, command, { cwd: folder, env }).catch(
    (error: { stdout: string; stderr: string }) => error,
  )
  return JSON.parse(stdout || stderr) as Record<string, unknown>
}

test('a command finds the driver that the app of the working folder registers', async () => {
  expect(await tidings('status')).toMatchObject({ error: { code: 'E_BUS_UNKNOWN' } })
  await writeFile(join(folder, 'app.ts'), code)
  expect(await tidings('status')).toMatchObject({ bus: 'memory', groups: [] })
  expect(await tidings('publish', 'order.paid')).toMatchObject({ id: expect.any(String) })
})

test('replay finds the driver that the named app registers', async () => {
  await writeFile(join(folder, 'other.ts'), code)
  expect(await tidings('replay', '--app', 'other.ts')).not.toHaveProperty('error')
})

test('an app file that cannot be loaded is reported', async () => {
  await writeFile(join(folder, 'app.ts'), 'throw new Error("no such key")')
  expect(await tidings('status')).toMatchObject({
    error: { code: 'E_APP_INVALID', message: expect.stringContaining('no such key') },
  })
})
