import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'

/** The version that is built if no nats-server is found. */
export const builtVersion = '2.15.2'

const source = `github.com/nats-io/nats-server/v2@v${builtVersion}`

const prefix = 'build-'
const hour = 3_600_000

/** Builds it with Go. The file appears atomically, also if several processes build it at once. */
export async function buildNatsServer(target: string, env: NodeJS.ProcessEnv): Promise<void> {
  await mkdir(dirname(target), { recursive: true })
  await removeAbandoned(dirname(target))
  const folder = await mkdtemp(join(dirname(target), prefix))
  try {
    await go(['install', source], folder, env)
    await rename(join(folder, basename(target)), target)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Removes the folders of builds that were killed. */
async function removeAbandoned(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name)
    const age = async () => Date.now() - (await stat(path)).mtimeMs
    if (name.startsWith(prefix) && (await age().catch(() => 0)) > hour) await rm(path, { recursive: true, force: true })
  }
}

async function go(args: string[], folder: string, env: NodeJS.ProcessEnv): Promise<void> {
  // Needs no C compiler, targets this platform and ignores a vendor folder in the working directory.
  const settings = { CGO_ENABLED: '0', GOOS: '', GOARCH: '', GOFLAGS: '', GOBIN: folder }
  try {
    await promisify(execFile)('go', args, { cwd: folder, env: { ...env, ...settings }, timeout: 600_000 })
  } catch (error) {
    const { code, stderr, message } = error as NodeJS.ErrnoException & { stderr?: string }
    throw code === 'ENOENT'
      ? new Error('Go, which builds it, is not installed', { cause: error })
      : new Error(`go install failed: ${stderr?.trim().split('\n').slice(-3).join(' ') || message}`, { cause: error })
  }
}
