import { execFile } from 'node:child_process'
import { hash } from 'node:crypto'
import { access, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { onTestFinished } from 'vitest'
import { textOf } from '../../src/errors.ts'
import { startChild, type Child } from '../../src/testing/child.ts'
import { describeUnless } from '../../test/lib/needing.ts'

const run = promisify(execFile)

/** A Python environment with the client of the broker. */
type Python = { readonly path: string } | { readonly reason: string }

let python: Promise<Python> | undefined

/** Tests that need Python. Without it they are skipped, or fail if brokers are required. */
export async function describePython(name: string, body: () => void): Promise<void> {
  const found = await (python ??= findPython())
  describeUnless('path' in found ? undefined : found.reason, name, body)
}

/** Creates one environment per content of requirements.txt, once. */
async function findPython(): Promise<Python> {
  const requirements = join(import.meta.dirname, 'requirements.txt')
  const digest = hash('sha256', await readFile(requirements), 'hex').slice(0, 12)
  const cache = process.env.XDG_CACHE_HOME || join(homedir(), '.cache')
  const place = join(cache, 'tidings', `python-${digest}`)
  const path = join(place, 'bin', 'python')
  if (await exists(path)) return { path }
  await mkdir(dirname(place), { recursive: true })
  const building = await mkdtemp(`${place}-`)
  try {
    await run('python3', ['-m', 'venv', building])
    await run(join(building, 'bin', 'python'), ['-m', 'pip', 'install', '--quiet', '-r', requirements])
    await rename(building, place)
  } catch (error) {
    // Another process may have created it first.
    if (!(await exists(path))) return { reason: `no Python environment: ${textOf(error).trim()}` }
  } finally {
    await rm(building, { recursive: true, force: true })
  }
  return { path }
}

/** A worker that ends with the test at the latest. */
export async function pythonWorker(bus: string, env: Record<string, string> = {}): Promise<Child> {
  const found = await (python ??= findPython())
  if ('reason' in found) throw new Error(found.reason)
  const folder = await mkdtemp(join(tmpdir(), 'tidings-python-'))
  const settings = Object.entries({
    TIDINGS_BUS: bus,
    NO_PROXY: '127.0.0.1',
    PYTHONDONTWRITEBYTECODE: '1',
    ...env,
  }).map(pair => pair.join('='))
  const child = await startChild(['env', ...settings, found.path, join(import.meta.dirname, 'worker.py')], {
    log: join(folder, 'log'),
    truncate: true,
    remove: folder,
  })
  onTestFinished(async () => {
    child.signal('SIGKILL')
    await child.ended
    if (process.env.TIDINGS_PYTHON_LOG) console.log(await readFile(join(folder, 'log'), 'utf8'))
    await rm(folder, { recursive: true, force: true })
  })
  return child
}

const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  )
