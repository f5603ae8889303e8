import { execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePort } from '../src/testing/ports.ts'
import { until } from '../src/testing/wait.ts'

/* Runs the tests of the S3 blob store against a real server, Versity Gateway, which Go builds once: `npm run s3-trial`. */

const version = 'v1.8.0'
const run = promisify(execFile)
const binary = await installed()
const data = await mkdtemp(join(tmpdir(), 'tidings-s3-'))
const port = await freePort()
const server = spawn(
  binary,
  ['--port', `127.0.0.1:${port}`, '--access', 'test', '--secret', 'test-secret', 'posix', data],
  {
    stdio: ['ignore', 'ignore', 'inherit'],
  },
)
try {
  const endpoint = `http://127.0.0.1:${port}`
  const answers = () =>
    fetch(endpoint).then(
      () => true,
      () => false,
    )
  await until(async () => server.exitCode !== null || (await answers()), { what: 'the S3 server' })
  const tests = spawn('npx', ['vitest', 'run', '--project', 'light', 'test/s3.test.ts'], {
    stdio: 'inherit',
    env: { ...process.env, TIDINGS_TEST_S3: endpoint },
  })
  process.exitCode = await new Promise<number>(resolve => tests.once('close', code => resolve(code ?? 1)))
} finally {
  server.kill()
  await rm(data, { recursive: true, force: true })
}

/** The server in the cache. */
async function installed(): Promise<string> {
  const folder = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'tidings', `versitygw-${version}`)
  const file = join(folder, 'versitygw')
  if (existsSync(file)) return file
  console.log(`building Versity Gateway ${version} into ${folder}, once; it takes some minutes …`)
  const part = `${folder}.part-${process.pid}`
  await mkdir(part, { recursive: true })
  try {
    const env = { ...process.env, GOBIN: part }
    await run('go', ['install', `github.com/versity/versitygw/cmd/versitygw@${version}`], { env, timeout: 1_800_000 })
    await rename(part, folder)
  } finally {
    await rm(part, { recursive: true, force: true })
  }
  return file
}
