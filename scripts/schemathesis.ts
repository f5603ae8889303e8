import { execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { agent } from '../src/agents/agent.ts'
import { app } from '../src/runtime/app.ts'
import { start } from '../src/runtime/start.ts'

/*
 * Sends generated requests to every route of the OpenAPI document: `npm run schemathesis`, or `npm run schemathesis -- 300` for 300 examples
 * of each. Fails on an answer with status 5xx and on answers that the document does not describe. Needs Python 3.
 */

const version = '4.32.5'
const [examples = '100'] = process.argv.slice(2)
const run = promisify(execFile)

const double = agent('double', { run: (_, n: number) => n * 2 })
const home = await mkdtemp(join(tmpdir(), 'tidings-schemathesis-'))
const running = await start(app({ name: 'schemathesis', use: [double] }), { home, bus: 'sqlite:', port: 0 })
try {
  const [url] = running.addresses
  const checks = 'not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance'
  const args = ['run', `${url}/openapi.json`, `--checks=${checks}`, `--max-examples=${examples}`]
  // An event stream does not end.
  const child = spawn(await tool(), [...args, '--exclude-path=/events/stream', '--request-timeout=10', '--seed=1'], {
    cwd: home,
    stdio: 'inherit',
  })
  process.exitCode = await new Promise<number>(resolve => child.once('close', code => resolve(code ?? 1)))
} finally {
  await running.stop()
  await rm(home, { recursive: true, force: true })
}

/** The command in a virtual environment of its own, in the cache. */
async function tool(): Promise<string> {
  const folder = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'tidings', `schemathesis-${version}`)
  const command = join(folder, 'bin/schemathesis')
  if (existsSync(command)) return command
  console.log(`installing schemathesis ${version} into ${folder}, once; it takes about a minute …`)
  await mkdir(dirname(folder), { recursive: true })
  // The scripts of a virtual environment name its path, so it cannot be moved: an interrupted one is made again.
  await rm(folder, { recursive: true, force: true })
  await run('python3', ['-m', 'venv', folder])
  await run(join(folder, 'bin/pip'), ['install', '--quiet', `schemathesis==${version}`], { timeout: 600_000 })
  return command
}
